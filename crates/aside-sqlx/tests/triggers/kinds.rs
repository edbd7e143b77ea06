//! Triggers of several kinds on one table.

use std::time::Duration;

use aside::Entity;
use aside_sqlx::{PostgresJournal, SqliteJournal, Triggers};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::books::{Book, Books, Pool};
use super::loans::{Loan, Report, books_of_loans, loans, reports};
use super::recording::recorded;
use super::{on_both, on_postgres};

/// Runs a scene with an empty table of loans on either database.
async fn with_loans(scene: impl AsyncFn(&Books)) {
    on_both(async |books| {
        books.add_loans().await;
        scene(&books).await;
    })
    .await;
}

impl Books {
    async fn remove_of<E: Entity>(&self) {
        let removed = match &self.pool {
            Pool::Sqlite(pool) => {
                let journal = SqliteJournal::new(pool.clone());
                journal.remove_triggers_of::<E>("loans").await
            }
            Pool::Postgres(pool) => {
                let journal = PostgresJournal::new(pool.clone());
                journal.remove_triggers_of::<E>("loans").await
            }
        };
        removed.expect("triggers are removed");
    }

    /// Returns a text that changes if a trigger is created or dropped.
    async fn triggers(&self) -> Vec<String> {
        let sql = match self.is_sqlite() {
            true => "SELECT CAST(schema_version AS TEXT) FROM pragma_schema_version",
            false => {
                "SELECT oid::text || xmin::text FROM pg_trigger
                 UNION SELECT oid::text || xmin::text FROM pg_proc
                  WHERE proname LIKE 'cache_journal%' ORDER BY 1"
            }
        };
        self.pool.texts(sql).await
    }
}

const INSERT: &str = "INSERT INTO loans (id, book, person) VALUES (1, 7, 8)";

#[tokio::test]
async fn two_kinds_of_a_table_are_recorded_in_either_order() {
    with_loans(async |books| {
        let [own, other] = [loans(), reports()];
        for order in [[&own, &other], [&other, &own], [&own, &own]] {
            for triggers in order {
                books.try_install(triggers).await.unwrap();
            }
            books.other.run(INSERT).await;
            assert_eq!(recorded(books).await, ["all of report", "loan:1"]);
            books.other.run("UPDATE loans SET note = 'x'").await;
            assert_eq!(recorded(books).await, ["all of report", "loan:1"]);
            books.other.run("DELETE FROM loans").await;
            assert_eq!(recorded(books).await, ["all of report", "loan:1"]);
        }
    })
    .await;
}

#[tokio::test]
async fn several_kinds_are_described_at_once() {
    with_loans(async |books| {
        let all = loans().row_of::<Book>("book").kind_of::<Report>();
        books.try_install(&all).await.unwrap();
        books.other.run(INSERT).await;
        let expected = ["all of report", "book:7", "book:all", "loan:1"];
        assert_eq!(recorded(books).await, expected);
    })
    .await;
}

#[tokio::test]
async fn removing_one_kind_leaves_the_others() {
    with_loans(async |books| {
        for triggers in [loans(), reports(), books_of_loans()] {
            books.try_install(&triggers).await.unwrap();
        }
        books.remove_of::<Loan>().await;
        books.other.run(INSERT).await;
        let of_book = ["book:7", "book:all", "book:by:8"];
        let recorded_keys = recorded(books).await;
        assert_eq!(recorded_keys, [&["all of report"], &of_book[..]].concat());
        books.remove_of::<Report>().await;
        books.remove_of::<Report>().await;
        books.other.run("DELETE FROM loans").await;
        assert_eq!(recorded(books).await, of_book);
        // The kind has triggers on another table as well.
        books.remove_of::<Book>().await;
        books.other.run(INSERT).await;
        assert!(recorded(books).await.is_empty());
        books.other.upsert(&Book::new("1", "title")).await;
        assert!(recorded(books).await.contains(&"book:1".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn installing_the_same_triggers_again_changes_nothing() {
    with_loans(async |books| {
        let all = [loans(), reports(), books_of_loans().only_columns(["note"])];
        for triggers in &all {
            books.try_install(triggers).await.unwrap();
        }
        let before = books.triggers().await;
        for triggers in &all {
            books.try_install(triggers).await.unwrap();
        }
        assert_eq!(books.triggers().await, before);
        books
            .try_install(&loans().only_columns(["note"]))
            .await
            .unwrap();
        assert_ne!(books.triggers().await, before);
    })
    .await;
}

#[tokio::test]
async fn installing_again_waits_for_no_other_transaction() {
    let (_server, books) = on_postgres().await;
    let Pool::Postgres(other) = &books.other else {
        unreachable!()
    };
    let mut open = other.begin().await.unwrap();
    let insert = "INSERT INTO books VALUES ('1', 'title', NULL, 1, false)";
    sqlx::query(insert).execute(&mut *open).await.unwrap();
    let again = timeout(Duration::from_secs(10), books.install()).await;
    again.expect("it does not wait for the table");
}

#[tokio::test]
async fn disabled_triggers_are_enabled_by_installing_them() {
    let (_server, books) = on_postgres().await;
    books
        .pool
        .run("ALTER TABLE books DISABLE TRIGGER USER")
        .await;
    books.other.upsert(&Book::new("1", "title")).await;
    assert!(recorded(&books).await.is_empty());
    books.install().await;
    books.other.upsert(&Book::new("1", "title")).await;
    assert!(!recorded(&books).await.is_empty());
}

#[tokio::test]
async fn rows_and_lists_of_another_kind_are_recorded() {
    with_loans(async |books| {
        books.try_install(&books_of_loans()).await.unwrap();
        books.other.run(INSERT).await;
        let before = ["book:7", "book:all", "book:by:8"];
        assert_eq!(recorded(books).await, before);
        books
            .other
            .run("UPDATE loans SET book = 9, person = 10")
            .await;
        let both = ["book:7", "book:9", "book:all", "book:by:10", "book:by:8"];
        assert_eq!(recorded(books).await, both);
        // NULL refers to no row and is in no list.
        books
            .other
            .run("UPDATE loans SET book = NULL, person = NULL")
            .await;
        assert_eq!(recorded(books).await, ["book:9", "book:all", "book:by:10"]);
        books.other.run("DELETE FROM loans").await;
        assert_eq!(recorded(books).await, ["book:all"]);
    })
    .await;
}

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "a-kind-whose-name-is-very-long-one", list_all = false)]
struct LongOne {
    #[entity(id)]
    id: i64,
}

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "a-kind-whose-name-is-very-long-two", list_all = false)]
struct LongTwo {
    #[entity(id)]
    id: i64,
}

#[tokio::test]
async fn kinds_with_long_names_have_separate_triggers() {
    with_loans(async |books| {
        for _ in 0..2 {
            let one = Triggers::of::<LongOne>("loans", "");
            books.try_install(&one.id("book")).await.unwrap();
            let two = Triggers::of::<LongTwo>("loans", "");
            books.try_install(&two.id("book")).await.unwrap();
        }
        books.other.run(INSERT).await;
        let expected = [LongOne::KIND, LongTwo::KIND].map(|kind| format!("{kind}:7"));
        assert_eq!(recorded(books).await, expected);
        books.remove_of::<LongOne>().await;
        books.other.run("DELETE FROM loans").await;
        assert_eq!(recorded(books).await, expected[1..]);
    })
    .await;
}

#[tokio::test]
async fn a_description_without_keys_is_refused() {
    with_loans(async |books| {
        let empty = Triggers::on("loans", "");
        let refused = books.try_install(&empty).await.unwrap_err().to_string();
        assert!(refused.contains("no keys"), "{refused}");
    })
    .await;
}
