//! Values that are equal and are written in several ways.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;

use aside::{CachedRepository, Entity, Freshness, Repository, Source};
use jiff::Zoned;
use serde::{Deserialize, Serialize};

use crate::database::{Table, Versioned};
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

impl Versioned for User {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "file")]
struct File {
    #[entity(id)]
    path: PathBuf,
    text: String,
}

impl Versioned for File {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "talk")]
struct Talk {
    #[entity(id)]
    id: u32,
    #[entity(index)]
    begins: Zoned,
    title: String,
}

impl Versioned for Talk {}

#[tokio::test]
async fn a_write_is_seen_under_every_spelling_of_a_list() {
    on_both(async |world| {
        let table = Table::new();
        let row = User {
            id: 1,
            email: no_case("ann@example.org"),
            name: "Ann".to_owned(),
        };
        table.insert(&row);
        let (instances, users) = world.two_over(&table).await;
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
