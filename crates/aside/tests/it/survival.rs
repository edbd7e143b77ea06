//! A row is read back as it was written, or is not cached.

use std::collections::BTreeMap;

use aside::{
    CacheStrategy, CachedRepository, Codec, CodecError, Entity, ExactText, Freshness, Json,
    Repository, Tier,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::database::{Table, Versioned};
use crate::world::{Instance, World};

/// Two instances: the first loads a row, the second reads it.
struct Scene<E: Versioned> {
    world: World,
    table: Table<E>,
    instances: [Instance; 2],
    repositories: [CachedRepository<Table<E>>; 2],
}

impl<E: Versioned<Id = u32>> Scene<E> {
    async fn with(rows: &[E]) -> Self {
        let world = World::new();
        let table = Table::new();
        rows.iter().for_each(|row| table.insert(row));
        let instances = [world.instance().await, world.instance().await];
        let repositories = instances
            .each_ref()
            .map(|instance| CachedRepository::new(table.clone(), &instance.cache));
        Self {
            world,
            table,
            instances,
            repositories,
        }
    }

    fn key(&self, id: u32) -> String {
        format!("{}:{id}", E::KIND)
    }

    /// Checks that the second instance serves the database's row, from Redis.
    async fn is_cached(&self, row: &E) {
        let [one, two] = &self.repositories;
        one.find_by_id(row.id()).await.unwrap();
        self.world.filled(&self.key(*row.id())).await;
        let answer = two.find_by_id_with(row.id(), Freshness::Any).await.unwrap();
        assert_eq!(answer.tier, Tier::Shared);
        assert_eq!(answer.value.as_deref(), Some(row));
    }

    /// Checks that both instances serve the database's row, and that Redis
    /// never has it.
    async fn is_answered_alone(&self, row: &E) {
        for repository in self.repositories.iter().chain(&self.repositories) {
            let found = repository.find_by_id(row.id()).await.unwrap();
            // By `Debug`, because the type's own equality may hide the
            // difference.
            assert_eq!(
                format!("{:?}", found.as_deref()),
                format!("{:?}", Some(row))
            );
        }
        assert_eq!(self.instances[1].errors("undecodable_value"), 0);
        assert!(self.instances[0].errors("lossy_row") > 0);
        // The return of a lease may still be in flight.
        assert_ne!(self.world.state(&self.key(*row.id())), 'V');
    }
}

/// Rows of this file have no versions.
macro_rules! unversioned {
    ($($ty:ty),*) => {$(
        impl Versioned for $ty {
            fn set_version(&mut self, _: u64) {}
        }
    )*};
}

unversioned!(
    Sample, Document, Account, Visit, Choice, Twice, Member, Rounded, Odd, Claimed
);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "sample")]
struct Sample {
    #[entity(id)]
    id: u32,
    celsius: f64,
}

#[tokio::test]
async fn a_float_from_redis_equals_the_database_bit_by_bit() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut rows = vec![Sample {
        id: 0,
        celsius: 117.633_311_394_000_17,
    }];
    rows.extend((1..300).map(|id| Sample {
        id,
        celsius: (random.f64() - 0.5) * 360.0,
    }));
    let scene = Scene::with(&rows).await;
    let [one, two] = &scene.repositories;
    let ids: Vec<u32> = rows.iter().map(|row| row.id).collect();
    one.find_many(&ids).await.unwrap();
    scene.table.queries();

    let found = two.find_many(&ids).await.unwrap();

    assert_eq!(
        scene.table.queries().total(),
        0,
        "every row comes from Redis"
    );
    for (row, found) in rows.iter().zip(found) {
        let found = found.unwrap();
        assert_eq!(found.celsius.to_bits(), row.celsius.to_bits(), "{row:?}");
    }
}

#[tokio::test]
async fn an_infinite_number_is_returned_and_not_cached() {
    for celsius in [f64::INFINITY, f64::NAN] {
        let row = Sample { id: 1, celsius };
        Scene::with(std::slice::from_ref(&row))
            .await
            .is_answered_alone(&row)
            .await;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "document")]
struct Document {
    #[entity(id)]
    id: u32,
    body: Value,
}

fn nested(depth: usize) -> Document {
    let body = (0..depth).fold(Value::Null, |body, _| Value::Array(vec![body]));
    Document { id: 1, body }
}

#[tokio::test]
async fn a_document_nested_too_deep_is_returned_and_not_cached() {
    let row = nested(100);
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_cached(&row)
        .await;
    let row = nested(200);
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_answered_alone(&row)
        .await;
}

mod masked {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ptr_arg)]
    pub(super) fn serialize<S: Serializer>(_: &String, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("***")
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        String::deserialize(from)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "account")]
struct Account {
    #[entity(id)]
    id: u32,
    #[serde(with = "masked")]
    password_hash: String,
}

#[tokio::test]
async fn a_row_with_a_masked_field_is_not_cached() {
    let row = Account {
        id: 1,
        password_hash: "argon2".to_owned(),
    };
    let scene = Scene::with(std::slice::from_ref(&row)).await;
    scene.is_answered_alone(&row).await;
    // A write does not leave it either, nor does a list contain it.
    let [one, two] = &scene.repositories;
    one.update(row.clone()).await.unwrap();
    assert_eq!(*two.find_by_id(&1).await.unwrap().unwrap(), row);
    one.list_all().await.unwrap();
    assert_eq!(*two.list_all().await.unwrap()[0], row);
    assert_ne!(scene.world.state("account:1"), 'V');
    assert_ne!(scene.world.state("account:all"), 'V');
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "visit")]
struct Visit {
    #[entity(id)]
    id: u32,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    seen_at: Timestamp,
}

#[tokio::test]
async fn a_time_written_in_seconds_is_cached_if_it_is_exact() {
    let whole = Visit {
        id: 1,
        seen_at: "2026-01-02T03:04:05Z".parse().unwrap(),
    };
    let parts = Visit {
        id: 2,
        seen_at: "2026-01-02T03:04:05.678901Z".parse().unwrap(),
    };
    let scene = Scene::with(&[whole.clone(), parts.clone()]).await;
    // Even after many rows that survived.
    for id in 3..100 {
        let row = Visit {
            id,
            ..whole.clone()
        };
        scene.table.insert(&row);
        scene.repositories[0].find_by_id(&id).await.unwrap();
    }
    scene.is_cached(&whole).await;
    scene.is_answered_alone(&parts).await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Kind {
    Small(f32),
    Large(f64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "choice")]
struct Choice {
    #[entity(id)]
    id: u32,
    kind: Kind,
}

#[tokio::test]
async fn an_enum_read_back_as_another_variant_is_not_cached() {
    let row = Choice {
        id: 1,
        kind: Kind::Large(0.5),
    };
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_answered_alone(&row)
        .await;
    let row = Choice {
        id: 1,
        kind: Kind::Small(0.5),
    };
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_cached(&row)
        .await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "twice")]
struct Twice {
    #[entity(id)]
    id: u32,
    answer: Option<Option<u8>>,
    counts: BTreeMap<i128, Option<()>>,
}

#[tokio::test]
async fn a_nested_option_is_cached_if_it_survives() {
    let row = |id, answer, count| Twice {
        id,
        answer,
        counts: BTreeMap::from([(i128::MIN, count)]),
    };
    let good = row(1, Some(Some(7)), None);
    let lost = row(2, Some(None), None);
    let unit = row(3, None, Some(()));
    let scene = Scene::with(&[good.clone(), lost.clone(), unit.clone()]).await;
    scene.is_cached(&good).await;
    scene.is_answered_alone(&lost).await;
    scene.is_answered_alone(&unit).await;
}

/// Compared case-insensitively, and written in lower case.
#[derive(Clone, Debug, Deserialize)]
struct Name(String);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.to_lowercase())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "member")]
struct Member {
    #[entity(id)]
    id: u32,
    name: Name,
}

#[tokio::test]
async fn an_equality_that_ignores_a_lost_part_is_not_trusted() {
    let row = Member {
        id: 1,
        name: Name("Ann".to_owned()),
    };
    Scene::with(std::slice::from_ref(&row))
        .await
        .is_answered_alone(&row)
        .await;
}

mod rounded {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64((number * 100.0).round() / 100.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        f64::deserialize(from)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "rounded")]
struct Rounded {
    #[entity(id)]
    id: u32,
    #[serde(with = "rounded")]
    price: f64,
}

#[tokio::test]
async fn a_list_with_one_lossy_row_is_not_cached() {
    let rows: Vec<Rounded> = (0..50)
        .map(|id| Rounded {
            id,
            price: if id == 40 { 0.125 } else { 0.25 },
        })
        .collect();
    let scene = Scene::with(&rows).await;
    for repository in scene.repositories.iter().chain(&scene.repositories) {
        let list = repository.list_all().await.unwrap();
        assert!(list.iter().map(|row| &**row).eq(&rows));
    }
    assert_ne!(scene.world.state("rounded:all"), 'V');
    // A batch fills the rows that survive, and no other.
    let ids: Vec<u32> = (0..50).collect();
    scene.repositories[0].find_many(&ids).await.unwrap();
    scene.world.filled("rounded:39").await;
    assert_ne!(scene.world.state("rounded:40"), 'V');
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "odd")]
struct Odd {
    #[entity(id)]
    id: u32,
    places: BTreeMap<(u8, u8), u8>,
}

#[tokio::test]
async fn a_map_with_non_text_keys_is_returned_and_not_cached() {
    let row = Odd {
        id: 1,
        places: BTreeMap::from([((1, 2), 3)]),
    };
    let scene = Scene::with(std::slice::from_ref(&row)).await;
    for repository in scene.repositories.iter().chain(&scene.repositories) {
        let found = repository.find_by_id(&1).await.unwrap();
        assert_eq!(found.as_deref(), Some(&row));
    }
    assert!(scene.instances[0].errors("not_cacheable") > 0);
    assert_ne!(scene.world.state("odd:1"), 'V');
}

/// Says that its text is exact, which is wrong of odd numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
struct Halved(u32);

impl ExactText for Halved {}

impl From<u32> for Halved {
    fn from(half: u32) -> Self {
        Self(half * 2)
    }
}

impl From<Halved> for u32 {
    fn from(halved: Halved) -> Self {
        halved.0 / 2
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "claimed")]
struct Claimed {
    #[entity(id)]
    id: u32,
    number: Halved,
}

#[tokio::test]
async fn after_one_lossy_row_of_a_plain_kind_each_is_compared() {
    let row = |id: u32| Claimed {
        id,
        number: Halved(if id < 256 { 2 } else { 3 }),
    };
    let rows: Vec<Claimed> = (0..260).map(row).collect();
    let scene = Scene::with(&rows).await;
    let sound: Vec<u32> = (0..256).collect();
    scene.repositories[0].find_many(&sound).await.unwrap();
    // The sample meets the first of these.
    for row in &rows[256..] {
        for repository in &scene.repositories {
            let found = repository.find_by_id(&row.id).await.unwrap();
            assert_eq!(found.as_deref(), Some(row));
        }
        if scene.instances[0].errors("lossy_row") > 0 {
            assert_ne!(scene.world.state(&scene.key(row.id)), 'V');
        }
    }
}

/// Leaves nothing of a row without a temperature.
#[derive(Debug)]
struct Terse;

impl Codec<Sample> for Terse {
    fn encode(&self, row: &Sample) -> Result<String, CodecError> {
        match row.celsius {
            0.0 => Ok("null".to_owned()),
            _ => Json.encode(row),
        }
    }

    fn decode(&self, json: &str) -> Result<Sample, CodecError> {
        match json {
            "null" => Ok(Sample {
                id: 1,
                celsius: 0.0,
            }),
            json => Json.decode(json),
        }
    }
}

impl CacheStrategy<Sample> for Terse {
    fn codec(&self) -> &dyn Codec<Sample> {
        self
    }
}

#[tokio::test]
async fn a_row_written_as_null_is_no_absence() {
    let row = Sample {
        id: 1,
        celsius: 0.0,
    };
    let scene = Scene::with(std::slice::from_ref(&row)).await;
    for samples in scene.repositories {
        let samples = samples.with_strategy(Terse);
        let found = samples.find_by_id(&1).await.unwrap();
        assert_eq!(found.as_deref(), Some(&row));
    }
}
