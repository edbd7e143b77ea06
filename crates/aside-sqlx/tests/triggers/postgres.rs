//! Cases that only PostgreSQL has.

use aside_testkit::{RedisServer, eventually};

use super::books::{Book, Pool, cached_write};
use super::{HEARD_WITHIN, on_postgres, two_that_hold};

#[tokio::test]
async fn truncate_invalidates_the_whole_kind() {
    let (_server, books) = on_postgres().await;
    let redis = RedisServer::start().expect("redis-server or valkey-server");
    books.pool.upsert(&Book::new("1", "title")).await;
    let instances = two_that_hold(&books, &redis, "1", "title").await;
    books.other.run("TRUNCATE books").await;
    eventually(HEARD_WITHIN, "an empty table", async || {
        let mut heard = true;
        for instance in &instances {
            heard &= instance.title("1").await.is_none() && instance.titled("title").await == 0;
        }
        heard
    })
    .await;
}

#[tokio::test]
async fn a_program_without_journal_rights_can_write_its_table() {
    let (_server, books) = on_postgres().await;
    books
        .pool
        .run("CREATE ROLE clerk; GRANT SELECT, INSERT, UPDATE, DELETE ON books TO clerk")
        .await;
    books.other.run("SET ROLE clerk").await;
    books.other.upsert(&Book::new("1", "title")).await;
    assert!(
        books
            .other
            .try_run("INSERT INTO cache_journal (key) VALUES ('x')")
            .await
            .is_err()
    );
    assert!(books.pool.journal().await.contains(&"book:1".to_owned()));
}

#[tokio::test]
async fn rows_that_a_foreign_key_changes_are_recorded() {
    let (_server, books) = on_postgres().await;
    let authors =
        "CREATE TABLE authors (name TEXT PRIMARY KEY); INSERT INTO authors VALUES ('who');
         ALTER TABLE books ADD FOREIGN KEY (author) REFERENCES authors ON DELETE SET NULL";
    books.pool.run(authors).await;
    let book = Book {
        author: Some("who".to_owned()),
        ..Book::new("1", "title")
    };
    books.pool.upsert(&book).await;
    books.pool.empty_the_journal().await;
    books.other.run("DELETE FROM authors").await;
    assert!(
        books
            .pool
            .journal()
            .await
            .contains(&"book:by:who".to_owned())
    );
}

#[tokio::test]
async fn a_column_with_database_specific_text_records_the_kind() {
    let (_server, books) = on_postgres().await;
    for (column, keyed) in [
        ("numeric(5, 2)", false),
        ("timestamptz", false),
        ("character(9)", false),
        ("mood", true),
        ("short", true),
        ("fine", false),
        ("varchar(9)", true),
    ] {
        let types =
            "DROP DOMAIN IF EXISTS short; DROP DOMAIN IF EXISTS fine; DROP TYPE IF EXISTS mood;
             CREATE TYPE mood AS ENUM ('1'); CREATE DOMAIN short AS varchar(5);
             CREATE DOMAIN fine AS numeric";
        let value = if column == "timestamptz" {
            "now()"
        } else {
            "'1'"
        };
        books.remove().await;
        books
            .pool
            .run(&format!(
                "{types}; ALTER TABLE books DROP author, ADD author {column}"
            ))
            .await;
        books.install().await;
        let insert = format!(
            "INSERT INTO books (id, title, shelf, lent, author)
             VALUES ('1', 'title', 1, false, {value})"
        );
        books.other.run(&insert).await;
        let recorded = books.pool.journal().await;
        if keyed {
            assert!(
                recorded.contains(&"book:by:1".to_owned()),
                "{column}: {recorded:?}"
            );
        } else {
            assert_eq!(recorded, ["all of book"], "{column}");
        }
        books
            .pool
            .run("ALTER TABLE books DROP author, ADD author text; DELETE FROM books")
            .await;
        books.pool.empty_the_journal().await;
    }
}

#[tokio::test]
async fn the_mark_of_a_transaction_ends_with_it() {
    let (_server, books) = on_postgres().await;
    // The pool has one connection, like a pooler for many clients.
    let Pool::Postgres(other) = &books.other else {
        unreachable!()
    };
    let write = cached_write().await;
    let transaction = aside_sqlx::PostgresJournal::begin(other, &write)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    books.other.upsert(&Book::new("1", "title")).await;
    assert!(books.pool.journal().await.contains(&"book:1".to_owned()));
}
