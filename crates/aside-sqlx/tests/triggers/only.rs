//! Triggers that ignore an UPDATE of columns that no cached value has.

use aside_sqlx::Triggers;

use super::books::{Book, Books};
use super::loans::{books_of_loans, loans, reports};
use super::recording::recorded;
use super::{on_both, on_postgres};

/// Runs a scene with some loans, and columns of several types.
async fn with_loans(scene: impl AsyncFn(&Books)) {
    on_both(async |books| {
        books.add_loans().await;
        let collation = match books.is_sqlite() {
            true => "NOCASE",
            false => "ignore_case",
        };
        if !books.is_sqlite() {
            let collation = "CREATE COLLATION ignore_case
                 (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
            books.pool.run(collation).await;
        }
        let fill = format!(
            "ALTER TABLE loans ADD folded TEXT COLLATE {collation};
             ALTER TABLE loans ADD seen INTEGER; ALTER TABLE loans ADD weight FLOAT;
             ALTER TABLE loans ADD body JSON;
             INSERT INTO loans VALUES (1, 7, 8, 'a', 'x', 0, 0.1, '{{}}'),
                                      (2, 7, 8, 'b', 'y', 0, 0.1, '{{}}')"
        );
        books.pool.run(&fill).await;
        scene(&books).await;
    })
    .await;
}

#[tokio::test]
async fn an_update_of_other_columns_records_nothing() {
    with_loans(async |books| {
        for triggers in [loans(), books_of_loans(), reports()] {
            let only = triggers.only_columns(["note", "folded", "weight", "body"]);
            books.try_install(&only).await.unwrap();
        }
        for ignored in [
            "UPDATE loans SET seen = seen + 1",
            "UPDATE loans SET note = note, seen = NULL",
        ] {
            books.other.run(ignored).await;
            assert_eq!(recorded(books).await, Vec::<String>::new(), "{ignored}");
        }
        for counted in [
            "UPDATE loans SET note = 'c' WHERE id = 1",
            "UPDATE loans SET note = NULL WHERE id = 1",
            // Equal under the column's collation.
            "UPDATE loans SET folded = 'X' WHERE id = 1",
            "UPDATE loans SET weight = 0.30000000000000004 WHERE id = 1",
            "UPDATE loans SET weight = 0.3 WHERE id = 1",
            "UPDATE loans SET body = '[]' WHERE id = 1",
        ] {
            books.other.run(counted).await;
            let expected = ["all of report", "book:7", "book:all", "book:by:8", "loan:1"];
            assert_eq!(recorded(books).await, expected, "{counted}");
        }
    })
    .await;
}

#[tokio::test]
async fn keys_count_although_they_are_not_among_the_columns() {
    with_loans(async |books| {
        for triggers in [loans(), books_of_loans(), reports()] {
            books
                .try_install(&triggers.only_columns(["note"]))
                .await
                .unwrap();
        }
        books
            .other
            .run("UPDATE loans SET book = 9 WHERE id = 1")
            .await;
        let expected = ["book:7", "book:9", "book:all", "book:by:8"];
        assert_eq!(recorded(books).await, expected);
        books
            .other
            .run("UPDATE loans SET id = 3 WHERE id = 1")
            .await;
        assert!(recorded(books).await.contains(&"loan:3".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn rows_that_exchange_their_values_are_recorded() {
    with_loans(async |books| {
        books
            .try_install(&books_of_loans().only_columns(["note"]))
            .await
            .unwrap();
        let exchange = "UPDATE loans SET note = CASE note WHEN 'a' THEN 'b' ELSE 'a' END";
        books.other.run(exchange).await;
        assert_eq!(recorded(books).await, ["book:7", "book:all", "book:by:8"]);
    })
    .await;
}

#[tokio::test]
async fn a_table_without_a_primary_key_records_every_update() {
    let (_server, books) = on_postgres().await;
    books
        .pool
        .run("ALTER TABLE books DROP CONSTRAINT books_pkey")
        .await;
    let only = Triggers::of::<Book>("books", "").only_columns(["title"]);
    books.try_install(&only).await.unwrap();
    let insert = "INSERT INTO books VALUES ('1', 'title', NULL, 1, false)";
    books.pool.run(insert).await;
    recorded(&books).await;
    books.other.run("UPDATE books SET id = id").await;
    assert!(!recorded(&books).await.is_empty());
}

#[tokio::test]
async fn a_missing_column_is_refused_at_once() {
    with_loans(async |books| {
        let wrong = loans().only_columns(["nothing"]);
        books.try_install(&wrong).await.unwrap_err();
    })
    .await;
}

#[tokio::test]
async fn a_dropped_column_does_not_stop_other_programs() {
    let (_server, books) = on_postgres().await;
    let only = Triggers::of::<Book>("books", "").only_columns(["lent"]);
    books.try_install(&only).await.unwrap();
    books.other.upsert(&Book::new("1", "title")).await;
    books.pool.run("ALTER TABLE books DROP lent").await;
    recorded(&books).await;
    books.other.run("UPDATE books SET shelf = 5").await;
    assert_eq!(recorded(&books).await, ["all of book"]);
}
