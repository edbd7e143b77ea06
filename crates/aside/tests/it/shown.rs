//! Rows that reads return differently from the write that stored them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aside::{
    CacheStrategy, CachedRepository, Entity, Freshness, Repository, Rows, Source, Tier, Write,
    codec::{Codec, CodecError, Json},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::world::World;

/// A user as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "user")]
struct User {
    #[entity(id)]
    id: u32,
    #[entity(index)]
    name: String,
    status: String,
    deleted_at: Option<i64>,
    /// A column of another table, by a join.
    team: String,
}

fn user(id: u32, name: &str) -> User {
    User {
        id,
        name: name.to_owned(),
        status: "active".to_owned(),
        deleted_at: None,
        team: "red".to_owned(),
    }
}

/// The row that a read returns for a stored row.
type View = fn(&User) -> Option<User>;

/// A table whose reads apply `view` to its rows.
#[derive(Clone)]
struct Users {
    rows: Arc<Mutex<BTreeMap<u32, User>>>,
    view: View,
    loads: Arc<AtomicU32>,
}

impl Users {
    fn seen_by(view: View) -> Self {
        Self {
            rows: Arc::default(),
            view,
            loads: Arc::default(),
        }
    }

    fn shown(&self) -> Vec<Arc<User>> {
        let rows = self.rows.lock();
        rows.values().filter_map(self.view).map(Arc::new).collect()
    }

    fn loads(&self) -> u32 {
        self.loads.swap(0, Ordering::SeqCst)
    }
}

impl Source for Users {
    type Entity = User;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Arc<User>>, Infallible> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let row = self.rows.lock().get(id).and_then(self.view);
        Ok(row.map(Arc::new))
    }

    async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Arc<User>>>, Infallible> {
        let rows = self.rows.lock();
        let row = |id| rows.get(id).and_then(self.view).map(Arc::new);
        Ok(ids.iter().map(row).collect())
    }

    async fn find_by(&self, index: &UserIndex) -> Result<Rows<User>, Infallible> {
        let UserIndex::Name(name) = index;
        let shown = self.shown().into_iter();
        Ok(shown.filter(|user| user.name == *name).collect())
    }

    async fn list_all(&self) -> Result<Rows<User>, Infallible> {
        Ok(self.shown().into())
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Infallible {
        unreachable!("no load here waits for a permit")
    }
}

impl Repository for Users {
    async fn save_in(&self, row: User, write: &mut Write) -> Result<Arc<User>, Infallible> {
        write.created(&row);
        let _ = write.before_commit().await;
        self.rows.lock().insert(row.id, row.clone());
        Ok(Arc::new(row))
    }

    async fn update_in(
        &self,
        row: User,
        write: &mut Write,
    ) -> Result<Option<Arc<User>>, Infallible> {
        let Some(before) = self.rows.lock().get(&row.id).cloned() else {
            return Ok(None);
        };
        write.updated(&before, &row);
        let _ = write.before_commit().await;
        self.rows.lock().insert(row.id, row.clone());
        Ok(Some(Arc::new(row)))
    }

    /// Marks the row as deleted, and records the deletion.
    async fn delete_in(&self, id: &u32, write: &mut Write) -> Result<bool, Infallible> {
        let Some(before) = self.rows.lock().get(id).cloned() else {
            return Ok(false);
        };
        let after = User {
            deleted_at: Some(1_764_374_400),
            status: "deleted".to_owned(),
            ..before
        };
        Ok(self.update_in(after, write).await?.is_some())
    }
}

/// Two instances over one table.
async fn two(users: &Users) -> (World, [CachedRepository<Users>; 2]) {
    let world = World::new();
    let one = world.instance().await;
    let other = world.instance().await;
    let over = |cache| CachedRepository::new(users.clone(), cache);
    let both = [over(&one.cache), over(&other.cache)];
    (world, both)
}

/// Checks that every reader sees the rows that the database returns.
async fn nothing_else_is_served(instances: &[CachedRepository<Users>; 2], ids: &[u32]) {
    for users in instances {
        for id in ids {
            for _ in 0..2 {
                let told = users.find_by_id(id).await.unwrap();
                let shown = users.source().find_by_id(id).await.unwrap();
                assert_eq!(told, shown, "{id}");
            }
        }
    }
}

fn by_time(user: &User) -> Option<User> {
    user.deleted_at.is_none().then(|| user.clone())
}

fn by_status(user: &User) -> Option<User> {
    (user.status != "deleted").then(|| user.clone())
}

#[tokio::test]
async fn a_softly_deleted_row_is_absent() {
    for view in [by_time as View, by_status] {
        let users = Users::seen_by(view);
        let (_world, instances) = two(&users).await;
        // Enough to learn that names and ids are as written, and status and
        // time are not.
        let ids: Vec<u32> = (1..=40).collect();
        for id in &ids {
            instances[0]
                .save(user(*id, &format!("{id}")))
                .await
                .unwrap();
        }
        nothing_else_is_served(&instances, &ids).await;
        assert!(instances[0].delete(&7).await.unwrap());
        nothing_else_is_served(&instances, &[6, 7, 8]).await;
        assert_eq!(instances[1].find_by_id(&7).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_restored_row_is_present() {
    let users = Users::seen_by(by_time);
    let (_world, instances) = two(&users).await;
    instances[0].save(user(1, "Ann")).await.unwrap();
    instances[0].delete(&1).await.unwrap();
    nothing_else_is_served(&instances, &[1]).await;
    instances[0].update(user(1, "Ann")).await.unwrap();
    nothing_else_is_served(&instances, &[1]).await;
}

#[tokio::test]
async fn a_row_with_joined_columns_is_served_as_reads_return_it() {
    let users = Users::seen_by(|user| {
        let team = format!("team of {}", user.name);
        Some(User {
            team,
            ..user.clone()
        })
    });
    let (_world, instances) = two(&users).await;
    for id in 1..=40 {
        instances[0].save(user(id, &format!("{id}"))).await.unwrap();
        nothing_else_is_served(&instances, &[id]).await;
    }
    instances[0].update(user(1, "Ann")).await.unwrap();
    nothing_else_is_served(&instances, &[1]).await;
}

#[tokio::test]
async fn a_column_that_the_write_leaves_out_is_served() {
    // The stored row has a team, which the write does not contain.
    let users = Users::seen_by(|user| {
        let team = "red".to_owned();
        Some(User {
            team,
            ..user.clone()
        })
    });
    let (_world, instances) = two(&users).await;
    for id in 1..=20 {
        let written = User {
            team: String::new(),
            ..user(id, "Ann")
        };
        instances[0].save(written).await.unwrap();
        nothing_else_is_served(&instances, &[id]).await;
    }
}

#[tokio::test]
async fn a_row_that_reads_return_unchanged_is_left_by_its_write() {
    let users = Users::seen_by(|user| Some(user.clone()));
    let (_world, instances) = two(&users).await;
    for id in 1..=40 {
        instances[0].save(user(id, &format!("{id}"))).await.unwrap();
        // Read back at most once, and not at all in the end.
        assert!(users.loads() <= u32::from(id <= 20), "{id}");
        for reader in &instances {
            let answer = reader.find_by_id_with(&id, Freshness::Any).await.unwrap();
            assert_ne!(answer.tier, Tier::Source, "{id}");
        }
    }
}

#[tokio::test]
async fn writes_that_reads_never_return_stop_reading_back() {
    let users = Users::seen_by(|_| None);
    let (_world, instances) = two(&users).await;
    for id in 1..=40 {
        instances[0].save(user(id, "Ann")).await.unwrap();
    }
    assert_eq!(users.loads(), 16);
    let errors = instances[0].cache().stats().errors;
    assert_eq!(errors.get("write_not_shown"), Some(&16));
}

#[derive(Debug)]
struct NoneOnWrite;

impl CacheStrategy<User> for NoneOnWrite {
    fn cache_on_write(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_write_that_leaves_no_row_reads_nothing_back() {
    let users = Users::seen_by(by_time);
    let (_world, [one, _]) = two(&users).await;
    let one = one.with_strategy(NoneOnWrite);
    one.save(user(1, "Ann")).await.unwrap();
    assert_eq!(users.loads(), 0);
}

/// Writes what no one can read without it.
#[derive(Debug)]
struct Sealed;

impl Codec<User> for Sealed {
    fn encode(&self, row: &User) -> Result<String, CodecError> {
        let plain = Json.encode(row)?;
        let sealed: String = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("\"{sealed}\""))
    }

    fn decode(&self, json: &str) -> Result<User, CodecError> {
        let sealed = json.trim_matches('"').as_bytes();
        let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0);
        let byte = |pair: &[u8]| u8::try_from(digit(&pair[0]) * 16 + digit(&pair[1])).unwrap_or(0);
        let plain: Vec<u8> = sealed.chunks_exact(2).map(byte).collect();
        Json.decode(&String::from_utf8_lossy(&plain))
    }
}

impl CacheStrategy<User> for Sealed {
    fn codec(&self) -> &dyn Codec<User> {
        self
    }
}

#[tokio::test]
async fn a_row_deleted_softly_under_another_codec_is_gone() {
    let users = Users::seen_by(by_time);
    let (_world, instances) = two(&users).await;
    let instances = instances.map(|users| users.with_strategy(Sealed));
    for id in 1..=20 {
        instances[0].save(user(id, "Ann")).await.unwrap();
    }
    assert!(instances[0].delete(&7).await.unwrap());
    nothing_else_is_served(&instances, &[6, 7, 8]).await;
}

/// Fails on every row.
#[derive(Debug)]
struct Broken;

impl Codec<User> for Broken {
    fn encode(&self, _: &User) -> Result<String, CodecError> {
        panic!("it writes nothing")
    }

    fn decode(&self, _: &str) -> Result<User, CodecError> {
        panic!("it reads nothing")
    }
}

impl CacheStrategy<User> for Broken {
    fn codec(&self) -> &dyn Codec<User> {
        self
    }
}

#[tokio::test]
async fn a_codec_that_panics_fails_no_write() {
    let users = Users::seen_by(by_time);
    let (_world, instances) = two(&users).await;
    let instances = instances.map(|users| users.with_strategy(Broken));
    instances[0].save(user(1, "Ann")).await.unwrap();
    nothing_else_is_served(&instances, &[1]).await;
}
