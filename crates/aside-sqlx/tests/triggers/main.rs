//! Triggers on real databases that programs without any cache write.

mod books;
mod instance;
mod postgres;
mod recording;
mod collations;
mod folded;
mod loans;
mod kinds;
mod older;
mod composed;
mod only;
mod blog;
mod first_step;
mod sqlite;

use std::time::Duration;

use aside::{Repository as _, Source as _};
use aside_testkit::{PostgresServer, RedisServer, eventually};
use tempfile::TempDir;

use self::books::{Book, Books};
use self::instance::Instance;

/// The maximum time for anything that the tests wait for.
const EVENTUALLY: Duration = Duration::from_secs(10);

/// P + H, plus one second for a busy machine.
const HEARD_WITHIN: Duration = Duration::from_millis(500 + 500 + 1000);

/// Runs a scene on SQLite and on PostgreSQL, with triggers on the books.
async fn on_both(scene: impl AsyncFn(Books)) {
    let (_directory, books) = on_sqlite().await;
    scene(books).await;
    let (_server, books) = on_postgres().await;
    scene(books).await;
}

async fn on_sqlite() -> (TempDir, Books) {
    let directory = tempfile::tempdir().expect("a directory");
    let books = Books::sqlite(&directory.path().join("books.db")).await;
    books.install().await;
    (directory, books)
}

async fn on_postgres() -> (PostgresServer, Books) {
    let server = PostgresServer::start().expect("postgres and initdb");
    let books = Books::postgres(&server.url()).await;
    books.install().await;
    (server, books)
}

/// Returns two instances whose local tiers contain a book and its lists.
async fn two_that_hold(books: &Books, redis: &RedisServer, id: &str, title: &str) -> [Instance; 2] {
    let one = Instance::start(&redis.url(), books).await;
    let two = Instance::start(&redis.url(), books).await;
    for instance in [&one, &two] {
        instance.caches(id, title).await;
    }
    [one, two]
}

#[tokio::test]
async fn foreign_writes_are_invalidated_by_every_instance() {
    on_both(async |books| {
        let redis = RedisServer::start().expect("redis-server or valkey-server");
        books.pool.upsert(&Book::new("1", "old")).await;
        let instances = two_that_hold(&books, &redis, "1", "old").await;
        for instance in &instances {
            // Their absence is cached as well.
            assert_eq!(instance.title("2").await, None);
            assert_eq!(instance.titled("new").await, 0);
        }

        books.other.run("UPDATE books SET title = 'new'").await;
        eventually(HEARD_WITHIN, "the new title, and its list", async || {
            let mut heard = true;
            for instance in &instances {
                heard &= instance.title("1").await.as_deref() == Some("new");
                heard &= instance.titled("new").await == 1 && instance.titled("old").await == 0;
            }
            heard
        })
        .await;
        for instance in &instances {
            instance.caches("1", "new").await;
        }

        books.other.upsert(&Book::new("2", "new")).await;
        eventually(HEARD_WITHIN, "the second book", async || {
            let mut heard = true;
            for instance in &instances {
                heard &= instance.title("2").await.is_some() && instance.titled("new").await == 2;
                heard &= instance.books.list_all().await.unwrap().len() == 2;
            }
            heard
        })
        .await;
        for instance in &instances {
            instance.caches("1", "new").await;
        }

        books.other.delete("1").await;
        eventually(HEARD_WITHIN, "the first book's end", async || {
            let mut heard = true;
            for instance in &instances {
                heard &= instance.title("1").await.is_none() && instance.titled("new").await == 1;
                heard &= instance.books.list_all().await.unwrap().len() == 1;
            }
            heard
        })
        .await;
        eventually(EVENTUALLY, "an empty journal", async || {
            books.pool.journal().await.is_empty()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_write_through_the_library_leaves_no_row() {
    on_both(async |books| {
        let redis = RedisServer::start().expect("redis-server or valkey-server");
        let instance = Instance::start(&redis.url(), &books).await;
        // No instance drains the journal, so its rows stay visible.
        books.pool.run("CREATE TABLE seen (key TEXT)").await;
        books.watch_the_journal().await;
        instance.books.save(Book::new("1", "old")).await.unwrap();
        instance.books.update(Book::new("1", "new")).await.unwrap();
        instance.books.delete(&"1".to_owned()).await.unwrap();
        assert!(books.pool.texts("SELECT key FROM seen").await.is_empty());
        // The mark ends with its transaction, on every connection.
        for _ in 0..10 {
            books.pool.run("DELETE FROM seen").await;
            books.pool.upsert(&Book::new("2", "by hand")).await;
            let seen = books.pool.texts("SELECT key FROM seen").await;
            assert!(seen.contains(&"book:2".to_owned()), "{seen:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_uncached_write_is_recorded_like_a_foreign_one() {
    on_both(async |books| {
        // The repository itself, without a cache.
        books.save(Book::new("1", "title")).await.unwrap();
        assert!(books.pool.journal().await.contains(&"book:1".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_rolled_back_transaction_leaves_no_row() {
    on_both(async |books| {
        let change = "BEGIN; INSERT INTO books VALUES ('1', 'title', NULL, 1, false); ROLLBACK";
        books.other.run(change).await;
        assert!(books.pool.journal().await.is_empty());
        // Neither does one of the library, whose mark is rolled back too.
        books.roll_back_a_write_of_the_library().await;
        assert!(books.pool.journal().await.is_empty());
        books.pool.upsert(&Book::new("1", "title")).await;
        assert!(!books.pool.journal().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn removed_triggers_leave_nothing_behind() {
    on_both(async |books| {
        let with = books.schema().await;
        books.remove().await;
        let without = books.schema().await;
        assert_ne!(with, without);
        let ours = |name: &&String| {
            name.contains("cache_journal")
                && !name.contains("cache_journal_pkey")
                && !name.contains("cache_journal_id_seq")
                && !name.ends_with(" cache_journal")
                && !name.ends_with(" cache_journal_writer")
                && !name.ends_with(" cache_journal_history")
        };
        assert_eq!(without.iter().find(ours), None);
        books.other.upsert(&Book::new("1", "title")).await;
        assert!(books.pool.journal().await.is_empty());
        // Removing triggers that do not exist is no error.
        books.remove().await;
    })
    .await;
}
