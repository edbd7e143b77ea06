//! The rows that triggers record.

use aside_sqlx::Triggers;

use super::books::{Book, Books, library_keys};
use super::on_both;

/// Texts with every character that is special in a key.
pub(crate) const ODD: [&str; 12] = [
    "all",
    "",
    "plain",
    "Маша и медведь",
    "a:b%{c}*?[d]\\#^",
    "%61ll",
    "it's \"quoted\"",
    "{row}",
    " padded ",
    "line\nbreak\tand\u{7f}\u{85}\u{1}",
    "🐉 é \u{301}",
    "-]^",
];

/// Returns true if SQLite's triggers can key a text.
pub(crate) fn keyed_on_sqlite(text: &str) -> bool {
    let escaped = text.chars().map(|it| {
        if ":%{}*?[]\\#^".contains(it) {
            3
        } else {
            it.len_utf8()
        }
    });
    !text.chars().any(char::is_control) && escaped.sum::<usize>() <= 200
}

pub(crate) fn random_text() -> String {
    let mut alphabet: Vec<char> = "all:%{}*?[]\\#^'\"- яж🐉\u{7f}\u{9f}\n".chars().collect();
    alphabet.extend((0..10).map(|_| fastrand::char('\u{1}'..)));
    (0..fastrand::usize(..40))
        .map(|_| alphabet[fastrand::usize(..alphabet.len())])
        .collect()
}

/// Returns the keys in the journal and empties it.
pub(crate) async fn recorded(books: &Books) -> Vec<String> {
    let mut recorded = books.pool.journal().await;
    books.pool.empty_the_journal().await;
    recorded.sort();
    recorded
}

#[tokio::test]
async fn triggers_compute_the_same_keys_as_the_library() {
    on_both(async |books| {
        let mut texts: Vec<String> = ODD.map(str::to_owned).to_vec();
        for length in [199, 200, 201, 5000] {
            texts.push("x".repeat(length));
        }
        // 66 colons of three bytes each and two more bytes; then one byte more.
        texts.extend(["yy", "yyy"].map(|end| ":".repeat(66) + end));
        texts.extend((0..100).map(|_| random_text()));
        for text in texts {
            let book = Book {
                id: text.clone(),
                title: text.clone(),
                author: fastrand::bool().then(|| text.clone()),
                shelf: fastrand::i32(..),
                lent: fastrand::bool(),
            };
            books.other.upsert(&book).await;
            let inserted = books.pool.journal().await;
            books.pool.empty_the_journal().await;
            let expected = if books.is_sqlite() && !keyed_on_sqlite(&text) {
                vec!["all of book".to_owned()]
            } else {
                library_keys(&book).await
            };
            let mut inserted = inserted;
            inserted.sort();
            assert_eq!(inserted, expected, "{text:?}");
            books.other.delete(&text).await;
            let mut deleted = books.pool.journal().await;
            deleted.sort();
            assert_eq!(deleted, expected, "{text:?}");
            books.pool.empty_the_journal().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_rename_records_the_row_before_and_the_row_after() {
    on_both(async |books| {
        books.pool.upsert(&Book::new("1", "old")).await;
        books.pool.empty_the_journal().await;
        books
            .other
            .run("UPDATE books SET id = '2', title = 'new', author = 'who'")
            .await;
        let mut expected = library_keys(&Book::new("1", "old")).await;
        let after = Book {
            author: Some("who".to_owned()),
            ..Book::new("2", "new")
        };
        expected.extend(library_keys(&after).await);
        expected.sort();
        expected.dedup();
        let mut recorded = books.pool.journal().await;
        recorded.sort();
        assert_eq!(recorded, expected);
    })
    .await;
}

#[tokio::test]
async fn a_change_of_very_many_rows_records_the_kind_once() {
    on_both(async |books| {
        let fill = "INSERT INTO books WITH RECURSIVE n(i) AS
             (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
             SELECT 'b' || i, 'title', NULL, 1, false FROM n";
        for change in [fill, "UPDATE books SET shelf = 2", "DELETE FROM books"] {
            books.other.run(change).await;
            let count = "SELECT key FROM cache_journal";
            assert_eq!(books.pool.texts(count).await, ["all of book"], "{change}");
            books.pool.empty_the_journal().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_table_without_its_columns_is_refused_at_once() {
    on_both(async |books| {
        let wrong = Triggers::of::<Book>("books", "").column("title", "name");
        books.try_install(&wrong).await.unwrap_err();
        let wrong = Triggers::of::<Book>("leaflets", "");
        books.try_install(&wrong).await.unwrap_err();
        // The earlier triggers are still there.
        books.other.upsert(&Book::new("1", "title")).await;
        assert!(books.pool.journal().await.contains(&"book:1".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn an_expression_corrects_a_value_that_differs_from_its_column() {
    on_both(async |books| {
        let triggers = Triggers::of::<Book>("books", "prod")
            .expression("title", "lower({row}.title)")
            .column("author", "title");
        books.try_install(&triggers).await.unwrap();
        books.other.upsert(&Book::new("1", "LOUD")).await;
        assert_eq!(
            books.pool.journal().await,
            [
                "prod:book:1",
                "prod:book:all",
                "prod:book:by:LOUD",
                "prod:book:place:1:false:LOUD",
                "prod:book:title:loud",
            ]
        );
        books.pool.empty_the_journal().await;
        // A column with another name still has its own type.
        let triggers = Triggers::of::<Book>("books", "").column("author", "lent");
        books.try_install(&triggers).await.unwrap();
        books.other.run("UPDATE books SET shelf = 2").await;
        let recorded = books.pool.journal().await;
        let key = "book:place:2:false:false".to_owned();
        assert!(recorded.contains(&key), "{recorded:?}");
        books.pool.empty_the_journal().await;
        let whole = Triggers::of::<Book>("books", "prod").whole_kind();
        books.try_install(&whole).await.unwrap();
        books.other.delete("1").await;
        assert_eq!(books.pool.journal().await, ["all of book"]);
    })
    .await;
}
