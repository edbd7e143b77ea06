//! Ids of several columns.

use aside::Entity;
use aside_sqlx::Triggers;
use serde::{Deserialize, Serialize};

use super::books::{Books, library_keys};
use super::recording::{ODD, random_text, recorded};
use super::{on_both, on_postgres};

/// The id of a mark as a struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Place {
    shelf: i32,
    person: String,
    is_lent: bool,
    note: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "placed", list_all = false)]
struct Placed {
    #[entity(id)]
    id: Place,
}

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "pair", list_all = false)]
struct Pair {
    #[entity(id)]
    id: (i32, String, bool, Option<String>),
}

/// Returns the types of the text columns on a database.
fn types(books: &Books) -> &'static [&'static str] {
    match books.is_sqlite() {
        true => &["TEXT", "TEXT COLLATE NOCASE"],
        false => &[
            "text",
            "varchar(9000) COLLATE ignore_case",
            "nick",
            "citext",
        ],
    }
}

const ON_POSTGRES: &str = "
    CREATE COLLATION ignore_case
        (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE DOMAIN nick AS text COLLATE ignore_case;
    CREATE EXTENSION citext";

fn triggers() -> [Triggers; 2] {
    [
        Triggers::of::<Pair>("marks", "").id(["shelf", "who", "lent", "note"]),
        // As a reference from a table of another kind.
        Triggers::on("marks", "").row_of::<Placed>([
            ("shelf", "shelf"),
            ("person", "who"),
            ("is_lent", "lent"),
            ("note", "note"),
        ]),
    ]
}

/// Returns true if SQLite's triggers can key a JSON text that contains `text`.
fn keyed_on_sqlite(text: &str, keys: &[String]) -> bool {
    // A segment of more than 200 bytes is a digest.
    !text.chars().any(char::is_control) && keys.iter().all(|key| !key.contains(":#"))
}

#[tokio::test]
async fn ids_of_several_columns_equal_the_librarys() {
    on_both(async |books| {
        if !books.is_sqlite() {
            books.pool.run(ON_POSTGRES).await;
        }
        let mut texts: Vec<String> = ODD.map(str::to_owned).to_vec();
        texts.extend(
            [
                "null", "true", "7", "\\", "\"", "\\\"", "%5C", "a\\u0041", "ÀLL",
            ]
            .map(str::to_owned),
        );
        texts.extend((20..60).map(|length| "x".repeat(length * 5)));
        texts.extend((0..60).map(|_| random_text()));
        for text_type in types(&books) {
            let table = format!(
                "DROP TABLE IF EXISTS marks; CREATE TABLE marks (
                     shelf INTEGER, who {text_type}, lent BOOLEAN, note {text_type})"
            );
            books.pool.run(&table).await;
            for triggers in triggers() {
                books.try_install(&triggers).await.unwrap();
            }
            for text in &texts {
                let pair = Pair {
                    id: (
                        fastrand::i32(..),
                        text.clone(),
                        fastrand::bool(),
                        fastrand::bool().then(|| text.clone()),
                    ),
                };
                check(&books, &pair, text_type).await;
            }
        }
    })
    .await;
}

/// Compares the recorded keys of a row with those of the library.
async fn check(books: &Books, pair: &Pair, text_type: &str) {
    let (shelf, person, is_lent, note) = pair.id.clone();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let insert = format!(
        "INSERT INTO marks VALUES ({shelf}, {}, {is_lent}, {})",
        quoted(&person),
        note.as_deref().map_or("NULL".to_owned(), quoted)
    );
    let text = person.clone();
    let placed = Placed {
        id: Place {
            shelf,
            person,
            is_lent,
            note,
        },
    };
    let mut expected = Vec::new();
    for (kind, keys) in [
        (Pair::KIND, library_keys(pair).await),
        (Placed::KIND, library_keys(&placed).await),
    ] {
        if books.is_sqlite() && !keyed_on_sqlite(&text, &keys) {
            expected.push(format!("all of {kind}"));
        } else {
            expected.extend(keys);
        }
    }
    expected.sort();
    for statement in [
        &*insert,
        "UPDATE marks SET lent = lent",
        "DELETE FROM marks",
    ] {
        books.other.run(statement).await;
        let recorded = recorded(books).await;
        assert_eq!(recorded, expected, "{text_type}: {text:?} {statement}");
    }
}

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "typed", list_all = false)]
struct Typed {
    #[entity(id)]
    id: (String, String, i64, i16, String),
}

#[tokio::test]
async fn every_type_with_a_json_text_is_a_part_of_an_id() {
    let (_server, books) = on_postgres().await;
    let table = "CREATE TYPE mood AS ENUM ('so \"so\"'); CREATE DOMAIN small AS int2;
         CREATE TABLE typed (a uuid, b mood, c int8, d small, e varchar(9))";
    books.pool.run(table).await;
    let triggers = Triggers::of::<Typed>("typed", "").id(["a", "b", "c", "d", "e"]);
    books.try_install(&triggers).await.unwrap();
    let id = "0A0B0C0D-0102-0304-0506-0708090A0B0C";
    let insert = format!("INSERT INTO typed VALUES ('{id}', 'so \"so\"', -5000000000, 7, '7')");
    books.other.run(&insert).await;
    let (mood, text) = ("so \"so\"".to_owned(), "7".to_owned());
    let typed = Typed {
        id: (id.to_lowercase(), mood, -5_000_000_000, 7, text),
    };
    assert_eq!(recorded(&books).await, library_keys(&typed).await);
}

#[tokio::test]
async fn a_part_of_an_id_without_json_text_records_the_kind() {
    on_both(async |books| {
        let fraction = match books.is_sqlite() {
            true => "REAL",
            false => "numeric",
        };
        let table =
            format!("CREATE TABLE marks (shelf {fraction}, who TEXT, lent BOOLEAN, note TEXT)");
        books.pool.run(&table).await;
        for triggers in triggers() {
            books.try_install(&triggers).await.unwrap();
        }
        let insert = "INSERT INTO marks VALUES (1.5, 'x', true, NULL)";
        books.other.run(insert).await;
        assert_eq!(recorded(&books).await, ["all of pair", "all of placed"]);
    })
    .await;
}
