//! Rows of the journal that this library did not write.

use aside::Repository;
use aside_testkit::eventually;

use super::notes::{Database, Instance, Note};
use super::{EVENTUALLY, HEARD_WITHIN, at, on_both, redis};

const LAST_ON_SQLITE: &str =
    "INSERT INTO cache_journal (id, key) VALUES (9223372036854775807, 'note:1')";
const LAST_ON_POSTGRES: &str = "INSERT INTO cache_journal (id, key) OVERRIDING SYSTEM VALUE
     VALUES (9223372036854775807, 'note:1')";

async fn is_worked_off(database: &Database) {
    eventually(EVENTUALLY, "an empty journal", async || {
        database.rows().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn the_greatest_id_leaves_ids_for_the_rows_that_follow() {
    on_both(async |database| {
        let redis = redis();
        let nowhere = Instance::start(at("redis://127.0.0.1:1/0"), &database).await;
        nowhere.notes.save(Note::new(1, "old")).await.unwrap();
        let other = Instance::start(at(&redis.url()), &database).await;
        other.caches(1).await;
        is_worked_off(&database).await;
        for turn in 1..=2 {
            database.foreign(LAST_ON_SQLITE, LAST_ON_POSTGRES).await;
            if turn == 2 {
                // Applied, or deleted by the program that inserted it, it was the last row.
                is_worked_off(&database).await;
            }
            let text = turn.to_string();
            nowhere.notes.update(Note::new(1, &text)).await.unwrap();
            eventually(HEARD_WITHIN, "the new row", async || {
                other.text(1).await == text
            })
            .await;
            is_worked_off(&database).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_row_that_was_deleted_does_not_keep_the_last_id() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&directory.path().join("notes.db")).await;
    database.foreign(LAST_ON_SQLITE, "").await;
    database.foreign("DELETE FROM cache_journal", "").await;
    let nowhere = Instance::start(at("redis://127.0.0.1:1/0"), &database).await;
    nowhere.notes.save(Note::new(1, "old")).await.unwrap();
    assert_eq!(database.rows().await, ["note:1", "note:all"]);
}

#[tokio::test]
async fn a_row_that_is_no_text_keeps_no_other_from_being_read() {
    on_both(async |database| {
        let redis = redis();
        let other = Instance::start(at(&redis.url()), &database).await;
        other.notes.save(Note::new(1, "old")).await.unwrap();
        other.caches(1).await;
        database
            .foreign(
                "INSERT INTO cache_journal (key) VALUES (x'ff00fe'), (zeroblob(9000000)), (7)",
                "INSERT INTO cache_journal (key) VALUES (''), (repeat('note:', 2000000)), ('7')",
            )
            .await;
        let nowhere = Instance::start(at("redis://127.0.0.1:1/0"), &database).await;
        nowhere.notes.update(Note::new(1, "new")).await.unwrap();
        eventually(HEARD_WITHIN, "the new row", async || {
            other.text(1).await == "new"
        })
        .await;
        is_worked_off(&database).await;
        // By the instance that reads them first, or by both.
        let dropped = [&other, &nowhere].map(|instance| {
            let errors = instance.cache.stats().errors;
            errors.get("malformed_journal_row").copied().unwrap_or(0)
        });
        assert!(3 <= dropped.iter().sum::<u64>(), "{dropped:?}");
    })
    .await;
}
