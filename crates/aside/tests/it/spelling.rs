//! One value has one key, for every `Eq` of its type. A row is cached only
//! under names that it has.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use aside::{
    CachedRepository, Entity, Freshness, Id, Index, Overloaded, Repository, Row, Rows, Write,
};
use jiff::Zoned;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::database::{DatabaseError, Table, Versioned};
use crate::world::{World, on_both};

/// Compared case-insensitively, like its database column.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct NoCase(String);

impl PartialEq for NoCase {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for NoCase {}

impl PartialOrd for NoCase {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NoCase {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.to_lowercase().cmp(&other.0.to_lowercase())
    }
}

impl Hash for NoCase {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_lowercase().hash(state);
    }
}

fn no_case(text: &str) -> NoCase {
    NoCase(text.to_owned())
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "user")]
struct User {
    #[entity(id)]
    id: u32,
    #[entity(unique)]
    email: NoCase,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "file")]
struct File {
    #[entity(id)]
    path: PathBuf,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "talk")]
struct Talk {
    #[entity(id)]
    id: u32,
    #[entity(index)]
    begins: Zoned,
    title: String,
}

macro_rules! unversioned {
    ($($ty:ty),*) => {$(
        impl Versioned for $ty {
            fn set_version(&mut self, _: u64) {}
        }
    )*};
}

unversioned!(User, File, Talk);

#[tokio::test]
async fn a_write_is_seen_under_every_spelling_of_a_list() {
    on_both(async |world| {
        let instances = [world.instance().await, world.instance().await];
        let table = Table::new();
        let row = User {
            id: 1,
            email: no_case("ann@example.org"),
            name: "Ann".to_owned(),
        };
        table.insert(&row);
        let users = instances
            .each_ref()
            .map(|instance| CachedRepository::new(table.clone(), &instance.cache));
        let spellings = ["Ann@Example.org", "ann@example.org", "ANN@EXAMPLE.ORG"];
        let read = async |name: &str| {
            for email in spellings.iter().chain(&spellings) {
                for users in &users {
                    let found = users.find_by(&UserIndex::Email(no_case(email))).await;
                    assert_eq!(found.unwrap()[0].name, name, "{email}");
                }
            }
        };
        read("Ann").await;

        let name = "Anna".to_owned();
        users[0]
            .update(User {
                name,
                ..row.clone()
            })
            .await
            .unwrap();

        read("Anna").await;
        assert!(instances[0].errors("misplaced_value") > 0);
    })
    .await;
}

#[tokio::test]
async fn a_row_whose_spelling_changes_leaves_both_lists() {
    on_both(async |world| {
        let instance = world.instance().await;
        let table = Table::new();
        let row = User {
            id: 1,
            email: no_case("ann"),
            name: "Ann".to_owned(),
        };
        table.insert(&row);
        let users = CachedRepository::new(table, &instance.cache);
        let find = async |email: &str| {
            let found = users.find_by(&UserIndex::Email(no_case(email))).await;
            found.unwrap()[0].email.0.clone()
        };
        assert_eq!(find("ann").await, "ann");
        instance.filled("user:email:ann").await;

        let email = no_case("Ann");
        users.update(User { email, ..row }).await.unwrap();

        assert_eq!(find("ann").await, "Ann");
        assert_eq!(find("Ann").await, "Ann");
        instance.filled("user:email:Ann").await;
        assert!(!instance.holds("user:email:ann").await);
    })
    .await;
}

#[tokio::test]
async fn a_path_equal_to_another_one_is_a_different_row() {
    on_both(async |world| {
        let instance = world.instance().await;
        let table = Table::new();
        let row = File {
            path: "docs/a.txt".into(),
            text: "old".to_owned(),
        };
        table.insert(&row);
        let files = CachedRepository::new(table.clone(), &instance.cache);
        let paths: [PathBuf; 3] = ["docs//a.txt".into(), "docs/a.txt".into(), "none".into()];
        let read = async |text: &str| {
            for path in paths[..2].iter().chain(&paths[..2]) {
                let found = files.find_by_id(path).await.unwrap().unwrap();
                assert_eq!(found.text, text, "{}", path.display());
            }
            let found = files.find_many(&paths).await.unwrap();
            let texts = found.iter().map(|row| Some(row.as_ref()?.text.as_str()));
            assert!(texts.eq([Some(text), Some(text), None]));
        };
        read("old").await;

        let text = "new".to_owned();
        files.update(File { text, ..row }).await.unwrap();

        read("new").await;
        // Under its own name it is a hit.
        instance.filled("file:docs/a.txt").await;
        files.find_by_id(&paths[1]).await.unwrap();
        table.queries();
        files.find_by_id(&paths[1]).await.unwrap();
        assert_eq!(table.queries().total(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_time_in_another_zone_is_read_after_a_write() {
    on_both(async |world| {
        let instance = world.instance().await;
        let table = Table::new();
        let begins: Zoned = "2026-01-02T03:00[Europe/Berlin]".parse().unwrap();
        let elsewhere = begins.with_time_zone(jiff::tz::TimeZone::UTC);
        let row = Talk {
            id: 1,
            begins: begins.clone(),
            title: "old".to_owned(),
        };
        table.insert(&row);
        let talks = CachedRepository::new(table, &instance.cache);
        let read = async |title: &str| {
            for begins in [&elsewhere, &begins, &elsewhere, &begins] {
                let found = talks.find_by(&TalkIndex::Begins(begins.clone())).await;
                assert_eq!(found.unwrap()[0].title, title, "{begins}");
            }
        };
        read("old").await;

        let title = "new".to_owned();
        talks.update(Talk { title, ..row }).await.unwrap();

        read("new").await;
    })
    .await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "coupon")]
struct Coupon {
    #[entity(id)]
    code: String,
    #[entity(index)]
    shop: String,
    percent: u32,
}

fn coupon(code: &str, percent: u32) -> Coupon {
    Coupon {
        code: code.to_owned(),
        shop: "Books".to_owned(),
        percent,
    }
}

/// A table whose columns are compared without regard to case or to trailing
/// blanks.
#[derive(Clone, Default)]
struct Coupons(Arc<Mutex<BTreeMap<String, Arc<Coupon>>>>);

fn folded(text: &str) -> String {
    text.trim_end().to_lowercase()
}

impl Repository for Coupons {
    type Entity = Coupon;
    type Error = DatabaseError;

    async fn find_by_id(&self, id: &Id<Self>) -> Result<Option<Row<Self>>, DatabaseError> {
        Ok(self.0.lock().get(&folded(id)).cloned())
    }

    async fn find_many(&self, ids: &[Id<Self>]) -> Result<Vec<Option<Row<Self>>>, DatabaseError> {
        let rows = self.0.lock();
        Ok(ids
            .iter()
            .map(|id| rows.get(&folded(id)).cloned())
            .collect())
    }

    async fn find_by(&self, index: &Index<Self>) -> Result<Rows<Coupon>, DatabaseError> {
        let CouponIndex::Shop(shop) = index;
        let stands = |row: &&Arc<Coupon>| folded(&row.shop) == folded(shop);
        Ok(self.0.lock().values().filter(stands).cloned().collect())
    }

    async fn list_all(&self) -> Result<Rows<Coupon>, DatabaseError> {
        Ok(self.0.lock().values().cloned().collect())
    }

    async fn save_in(&self, row: Coupon, write: &mut Write) -> Result<Row<Self>, DatabaseError> {
        write.created(&row);
        write.before_commit().await;
        let row = Arc::new(row);
        self.0.lock().insert(folded(&row.code), Arc::clone(&row));
        Ok(row)
    }

    async fn update_in(
        &self,
        row: Coupon,
        write: &mut Write,
    ) -> Result<Option<Row<Self>>, DatabaseError> {
        let Some(before) = self.0.lock().get(&folded(&row.code)).cloned() else {
            return Ok(None);
        };
        write.updated(&*before, &row);
        write.before_commit().await;
        let row = Arc::new(row);
        self.0.lock().insert(folded(&row.code), Arc::clone(&row));
        Ok(Some(row))
    }

    async fn delete_in(&self, id: &String, write: &mut Write) -> Result<bool, DatabaseError> {
        let Some(before) = self.0.lock().get(&folded(id)).cloned() else {
            return Ok(false);
        };
        write.deleted(&*before);
        write.before_commit().await;
        Ok(self.0.lock().remove(&folded(id)).is_some())
    }

    fn overloaded(&self, _: Overloaded) -> DatabaseError {
        DatabaseError::Overloaded
    }
}

const SPELLINGS: [&str; 3] = ["SPRING", "spring", "spring  "];

#[tokio::test]
async fn a_row_is_cached_only_under_its_own_name() {
    on_both(async |world| {
        let instances = [world.instance().await, world.instance().await];
        let table = Coupons::default();
        let coupons = instances
            .each_ref()
            .map(|instance| CachedRepository::new(table.clone(), &instance.cache));
        coupons[0].save(coupon("spring", 10)).await.unwrap();
        let read = async |percent| {
            for code in SPELLINGS.iter().chain(&SPELLINGS) {
                for coupons in &coupons {
                    let found = coupons.find_by_id(&(*code).to_owned()).await.unwrap();
                    assert_eq!(found.unwrap().percent, percent, "{code:?}");
                }
            }
            for coupons in &coupons {
                let found = coupons.find_many(&SPELLINGS.map(str::to_owned)).await;
                let percents = found.unwrap().into_iter().map(|row| row.unwrap().percent);
                assert!(percents.eq([percent; 3]));
            }
        };
        read(10).await;

        coupons[0].update(coupon("spring", 0)).await.unwrap();

        read(0).await;
        assert!(instances[1].errors("misplaced_value") > 0);
        assert!(instances[1].holds("coupon:spring").await);
        assert!(!instances[1].holds("coupon:SPRING").await);
    })
    .await;
}

#[tokio::test]
async fn an_absence_under_a_text_ends_with_another_spelling() {
    on_both(async |world| {
        let instances = [world.instance().await, world.instance().await];
        let table = Coupons::default();
        let coupons = instances
            .each_ref()
            .map(|instance| CachedRepository::new(table.clone(), &instance.cache));
        for code in ["SUMMER", "summer "] {
            for coupons in coupons.iter().chain(&coupons) {
                assert!(
                    coupons
                        .find_by_id(&code.to_owned())
                        .await
                        .unwrap()
                        .is_none()
                );
            }
        }

        coupons[0].save(coupon("Summer", 20)).await.unwrap();

        for code in ["SUMMER", "summer ", "Summer"] {
            for coupons in coupons.iter().chain(&coupons) {
                let found = coupons.find_by_id(&code.to_owned()).await.unwrap();
                assert_eq!(found.unwrap().percent, 20, "{code:?}");
            }
        }
        assert_eq!(instances[0].errors("not_cacheable"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_list_is_not_trusted_once_its_rows_are_in_another() {
    on_both(async |world| {
        let instances = [world.instance().await, world.instance().await];
        let table = Coupons::default();
        let coupons = instances
            .each_ref()
            .map(|instance| CachedRepository::new(table.clone(), &instance.cache));
        let list = async |shop: &str| {
            let index = CouponIndex::Shop(shop.to_owned());
            let mut codes = Vec::new();
            for coupons in coupons.iter().chain(&coupons) {
                let found = coupons.find_by(&index).await.unwrap();
                codes.push(found.iter().map(|row| row.code.clone()).collect::<Vec<_>>());
            }
            codes.dedup();
            assert_eq!(codes.len(), 1, "{codes:?}");
            codes.remove(0)
        };
        coupons[0].save(coupon("a", 1)).await.unwrap();
        assert_eq!(list("Books").await, ["a"]);
        assert_eq!(list("Toys").await, [""; 0]);
        assert_eq!(list("BOOKS").await, ["a"]);

        for (code, shop) in [("b", "BOOKS"), ("c", "TOYS")] {
            let shop = shop.to_owned();
            let row = Coupon {
                shop,
                ..coupon(code, 2)
            };
            coupons[0].save(row).await.unwrap();
        }

        for shop in ["Books", "BOOKS", "books"] {
            assert_eq!(list(shop).await, ["a", "b"], "{shop}");
        }
        for shop in ["Toys", "TOYS", "toys"] {
            assert_eq!(list(shop).await, ["c"], "{shop}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_absence_of_a_number_or_a_uuid_is_cached() {
    let world = World::new();
    let instance = world.instance().await;
    let nobody = crate::entities::hero("Mia", "en");
    for _ in 0..2 {
        let found = instance.heroes.find_by_id(&nobody.id).await.unwrap();
        assert!(found.is_none());
    }
    world.filled(&nobody.key()).await;
    let users = CachedRepository::new(Table::<User>::new(), &instance.cache);
    users.find_by_id_with(&7, Freshness::Any).await.unwrap();
    world.filled("user:7").await;
    // A text with only one spelling.
    let books = &instance.books;
    books.find_by_id(&"978".to_owned()).await.unwrap();
    world.filled("book:978").await;
}
