//! Keys under every collation. No trigger ever refuses a write.

use aside_sqlx::Triggers;

use super::books::{Book, Books, library_keys};
use super::recording::{ODD, keyed_on_sqlite, random_text, recorded};
use super::{on_both, on_postgres, on_sqlite};

/// The types of text columns, on either database.
const ON_POSTGRES: [&str; 6] = [
    "text COLLATE ignore_case",
    "text COLLATE ignore_accents",
    "text COLLATE \"C\"",
    "varchar(9000) COLLATE ignore_case",
    "nick",
    "citext",
];
const ON_SQLITE: [&str; 3] = [
    "TEXT COLLATE NOCASE",
    "TEXT COLLATE RTRIM",
    "VARCHAR(9) COLLATE NOCASE",
];

const TYPES: &str = "
    CREATE COLLATION ignore_case
        (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE COLLATION ignore_accents
        (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
    CREATE DOMAIN nick AS text COLLATE ignore_case;
    CREATE EXTENSION citext";

/// Runs a scene with the books' texts in columns of each type.
async fn under_every_collation(scene: impl AsyncFn(&Books, &str)) {
    let (_directory, books) = on_sqlite().await;
    for text in ON_SQLITE {
        let table = format!(
            "DROP TABLE books; CREATE TABLE books (id {text} PRIMARY KEY, title {text} NOT NULL,
                 author {text}, shelf INTEGER NOT NULL, lent BOOLEAN NOT NULL)"
        );
        books.pool.run(&table).await;
        books.install().await;
        scene(&books, text).await;
    }
    let (_server, books) = on_postgres().await;
    books.pool.run(TYPES).await;
    for text in ON_POSTGRES {
        let table = format!(
            "ALTER TABLE books ALTER id TYPE {text}, ALTER title TYPE {text}, ALTER author TYPE {text}"
        );
        books.remove().await;
        books.pool.run(&table).await;
        books.install().await;
        scene(&books, text).await;
    }
}

#[tokio::test]
async fn keys_equal_the_librarys_under_every_collation() {
    under_every_collation(async |books, collation| {
        let mut texts: Vec<String> = ODD.map(str::to_owned).to_vec();
        texts.extend(["ALL", "All", "all ", "ÀLL", "ann", "Ann ", "E\u{301}"].map(str::to_owned));
        texts.extend([199, 200, 201].map(|length| "x".repeat(length)));
        texts.extend((0..30).map(|_| random_text()));
        for text in texts {
            let book = Book {
                id: text.clone(),
                author: fastrand::bool().then(|| text.clone()),
                ..Book::new("", &text)
            };
            books.other.upsert(&book).await;
            let expected = if books.is_sqlite() && !keyed_on_sqlite(&text) {
                vec!["all of book".to_owned()]
            } else {
                library_keys(&book).await
            };
            assert_eq!(recorded(books).await, expected, "{collation}: {text:?}");
            books.other.delete(&text).await;
            assert_eq!(recorded(books).await, expected, "{collation}: {text:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_change_of_case_records_both_spellings() {
    under_every_collation(async |books, collation| {
        for (before, after) in [
            ("bob", "BOB"),
            ("ann: the first", "Ann: the first "),
            ("é", "e"),
        ] {
            books.pool.upsert(&Book::new("1", before)).await;
            recorded(books).await;
            books.other.upsert(&Book::new("1", after)).await;
            let mut expected = library_keys(&Book::new("1", before)).await;
            expected.extend(library_keys(&Book::new("1", after)).await);
            expected.sort();
            expected.dedup();
            assert_eq!(recorded(books).await, expected, "{collation}");
        }
        books.pool.run("DELETE FROM books").await;
        recorded(books).await;
    })
    .await;
}

#[tokio::test]
async fn columns_with_odd_names_are_keyed() {
    on_both(async |books| {
        let rename = "ALTER TABLE books RENAME title TO \"Order\";
             ALTER TABLE books RENAME author TO key;
             ALTER TABLE books RENAME shelf TO \"it's \"\"r\"\"\"";
        books.remove().await;
        books.pool.run(rename).await;
        let triggers = Triggers::of::<Book>("books", "")
            .column("title", "Order")
            .column("author", "key")
            .column("shelf", "it's \"r\"");
        books.try_install(&triggers).await.unwrap();
        books
            .other
            .run("INSERT INTO books VALUES ('1', 'title', 'Ann', 1, false)")
            .await;
        let book = Book {
            author: Some("Ann".to_owned()),
            ..Book::new("1", "title")
        };
        assert_eq!(recorded(&books).await, library_keys(&book).await);
    })
    .await;
}

#[tokio::test]
async fn a_generated_column_is_keyed() {
    on_both(async |books| {
        let (text, boolean) = if books.is_sqlite() {
            ("VIRTUAL", "VIRTUAL")
        } else {
            ("STORED", "STORED")
        };
        let add = format!(
            "ALTER TABLE books ADD quiet TEXT GENERATED ALWAYS AS (lower(title)) {text};
             ALTER TABLE books ADD high BOOLEAN GENERATED ALWAYS AS (shelf > 5) {boolean}"
        );
        books.pool.run(&add).await;
        let triggers = Triggers::of::<Book>("books", "")
            .column("title", "quiet")
            .column("lent", "high");
        books.try_install(&triggers).await.unwrap();
        books.other.upsert(&Book::new("1", "LOUD")).await;
        assert_eq!(
            recorded(&books).await,
            library_keys(&Book::new("1", "loud")).await
        );
        books.other.run("UPDATE books SET title = 'Loud'").await;
        assert_eq!(
            recorded(&books).await,
            library_keys(&Book::new("1", "loud")).await
        );
    })
    .await;
}

#[tokio::test]
async fn an_expression_that_fails_records_the_kind() {
    let (_server, books) = on_postgres().await;
    let fails = Triggers::of::<Book>("books", "").expression("title", "(1 / {row}.shelf)::text");
    books.try_install(&fails).await.unwrap();
    let book = Book {
        shelf: 0,
        ..Book::new("1", "title")
    };
    // The other program sees no error.
    books.other.upsert(&book).await;
    assert_eq!(recorded(&books).await, ["all of book"]);
    books.other.run("UPDATE books SET shelf = 1").await;
    assert_eq!(recorded(&books).await, ["all of book"]);
    books.other.delete("1").await;
    assert!(recorded(&books).await.contains(&"book:title:1".to_owned()));
}

#[tokio::test]
async fn an_expression_that_fails_for_a_row_is_refused() {
    let (_server, books) = on_postgres().await;
    let book = Book {
        shelf: 0,
        ..Book::new("1", "title")
    };
    books.pool.upsert(&book).await;
    let fails = Triggers::of::<Book>("books", "").expression("title", "(1 / {row}.shelf)::text");
    let refused = books.try_install(&fails).await.unwrap_err();
    assert!(
        refused.to_string().contains("division by zero"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_write_succeeds_without_the_journal_table() {
    let (_server, books) = on_postgres().await;
    books.pool.run("DROP TABLE cache_journal").await;
    books.other.upsert(&Book::new("1", "title")).await;
    assert_eq!(books.pool.texts("SELECT id FROM books").await, ["1"]);
}

#[tokio::test]
async fn rows_replaced_by_another_collations_index_are_recorded() {
    let (_directory, books) = on_sqlite().await;
    let index = "CREATE UNIQUE INDEX one_title ON books (title COLLATE NOCASE)";
    books.pool.run(index).await;
    books.install().await;
    books.pool.upsert(&Book::new("1", "one")).await;
    recorded(&books).await;
    books
        .other
        .run("REPLACE INTO books VALUES ('2', 'ONE', NULL, 3, true)")
        .await;
    let recorded = recorded(&books).await;
    for key in ["book:1", "book:2", "book:title:one", "book:title:ONE"] {
        assert!(recorded.contains(&key.to_owned()), "{key}: {recorded:?}");
    }
}
