//! Cases that only SQLite has.

use super::books::{Book, Pool, cached_write};
use super::on_sqlite;

#[tokio::test]
async fn rows_that_replace_deletes_are_recorded() {
    let (_directory, books) = on_sqlite().await;
    books
        .pool
        .run("CREATE UNIQUE INDEX one_title ON books (title)")
        .await;
    // Installed again, because the index is new.
    books.install().await;
    books.pool.upsert(&Book::new("1", "one")).await;
    books.pool.upsert(&Book::new("2", "two")).await;
    books.pool.empty_the_journal().await;
    books
        .other
        .run("REPLACE INTO books VALUES ('1', 'two', NULL, 3, true)")
        .await;
    let recorded = books.pool.journal().await;
    for key in ["book:1", "book:2", "book:title:one", "book:title:two"] {
        assert!(recorded.contains(&key.to_owned()), "{key}: {recorded:?}");
    }
    books.pool.upsert(&Book::new("3", "three")).await;
    books.pool.empty_the_journal().await;
    books
        .other
        .run("UPDATE OR REPLACE books SET title = 'two' WHERE id = '3'")
        .await;
    let recorded = books.pool.journal().await;
    for key in ["book:1", "book:3", "book:title:three", "book:title:two"] {
        assert!(recorded.contains(&key.to_owned()), "{key}: {recorded:?}");
    }
}

#[tokio::test]
async fn a_transaction_without_its_record_cannot_commit() {
    let (_directory, books) = on_sqlite().await;
    let Pool::Sqlite(pool) = &books.pool else {
        unreachable!()
    };
    let write = cached_write().await;
    let mut transaction = aside_sqlx::SqliteJournal::begin(pool, &write)
        .await
        .unwrap();
    sqlx::query("INSERT INTO books VALUES ('1', 'title', NULL, 1, false)")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let refused = transaction.commit().await.unwrap_err();
    assert!(refused.to_string().contains("FOREIGN KEY"), "{refused}");
    assert!(books.pool.texts("SELECT id FROM books").await.is_empty());
}

#[tokio::test]
async fn without_foreign_keys_a_write_of_the_library_is_recorded() {
    let (_directory, books) = on_sqlite().await;
    let Pool::Sqlite(other) = &books.other else {
        unreachable!()
    };
    let write = cached_write().await;
    let mut transaction = aside_sqlx::SqliteJournal::begin(other, &write)
        .await
        .unwrap();
    sqlx::query("INSERT INTO books VALUES ('1', 'title', NULL, 1, false)")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert!(books.pool.journal().await.contains(&"book:1".to_owned()));
    assert!(
        books
            .pool
            .texts("SELECT 'x' FROM cache_journal_writer")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_key_already_in_the_journal_gets_a_new_row() {
    let (_directory, books) = on_sqlite().await;
    books.other.upsert(&Book::new("1", "title")).await;
    let ids = "SELECT CAST(id AS TEXT) FROM cache_journal WHERE key = 'book:1'";
    let before = books.pool.texts(ids).await;
    books.other.upsert(&Book::new("1", "title")).await;
    let after = books.pool.texts(ids).await;
    assert!(
        before.len() == 1 && after.len() == 1 && before != after,
        "{before:?} {after:?}"
    );
}

#[tokio::test]
async fn a_value_with_nul_or_without_text_records_the_kind() {
    let (_directory, books) = on_sqlite().await;
    for value in ["'a' || char(0) || 'b'", "x'00ff'", "1.5"] {
        books
            .other
            .run(&format!(
                "INSERT INTO books VALUES ({value}, 'title', NULL, 1, false)"
            ))
            .await;
        let recorded = books.pool.journal().await;
        // A text column turns a number into a text.
        if value == "1.5" {
            assert!(recorded.contains(&"book:1.5".to_owned()), "{recorded:?}");
        } else {
            assert_eq!(recorded, ["all of book"], "{value}");
        }
        books.pool.empty_the_journal().await;
    }
    books.other.run("UPDATE books SET shelf = 1.5").await;
    assert_eq!(books.pool.journal().await, ["all of book"]);
}
