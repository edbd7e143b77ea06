//! `check_entity` on types that meet the requirements of a cached row, and on
//! types that each break one.

mod by_hand;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use aside::Entity;
use aside_testkit::{EntityProblem, check_entity};
use serde::{Deserialize, Serialize};

/// The problems of a type that has some.
fn problems<E: Entity>(samples: impl IntoIterator<Item = E>) -> Vec<EntityProblem> {
    let problems = check_entity::<E>(samples).expect_err("the type breaks a promise");
    problems.iter().cloned().collect()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "book", index(exact = (author, title)))]
struct Book {
    #[entity(id)]
    id: String,
    #[entity(index)]
    author: Option<String>,
    title: String,
    words: HashMap<String, u64>,
    price: f64,
}

fn book(id: &str, author: Option<&str>) -> Book {
    Book {
        id: id.to_owned(),
        author: author.map(str::to_owned),
        title: "all".to_owned(),
        words: (0..20).map(|word| (word.to_string(), word)).collect(),
        price: -0.0,
    }
}

#[test]
fn a_type_that_meets_every_requirement_has_no_problem() {
    let rows = [
        book("all", None),
        book("book:all", Some("all")),
        book("a:b*", Some("Tolstoy: Leo")),
        book("a:b*", Some("")),
        book("", Some("^")),
    ];
    check_entity::<Book>(rows).unwrap();
}

#[test]
fn checking_no_rows_is_a_problem() {
    assert_eq!(problems::<Book>([]), [EntityProblem::NoSamples]);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "sample", list_all = false)]
struct Sample {
    #[entity(id)]
    id: u32,
    celsius: f64,
    notes: Vec<serde_json::Value>,
}

fn sample(celsius: f64) -> Sample {
    let notes = Vec::new();
    Sample {
        id: 7,
        celsius,
        notes,
    }
}

#[test]
fn an_infinite_number_cannot_be_read_back() {
    for celsius in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let [EntityProblem::NotRead { row, reason }] = &problems([sample(celsius)])[..] else {
            panic!("{celsius}: {:?}", problems([sample(celsius)]));
        };
        assert_eq!(row, "sample:7");
        assert!(
            !reason.contains("null"),
            "the row itself is shown: {reason}"
        );
    }
}

#[test]
fn a_document_too_deep_for_a_list_cannot_be_read_back() {
    let nested = |levels| {
        let deep = (0..levels).fold(serde_json::json!(1), |deep, _| serde_json::json!([deep]));
        Sample {
            notes: vec![deep],
            ..sample(0.0)
        }
    };
    check_entity([nested(100)]).unwrap();
    // Together with the row and its field 128 levels, which a single row may
    // have.
    for levels in [125, 126, 500] {
        let found = problems([nested(levels)]);
        assert!(
            matches!(&found[..], [EntityProblem::NotRead { .. }]),
            "{levels}: {found:?}"
        );
    }
}

#[test]
fn a_row_larger_than_the_limit_is_named_with_both_sizes() {
    let notes = vec![serde_json::json!("x".repeat(9 << 20))];
    let found = problems([Sample {
        notes,
        ..sample(0.0)
    }]);
    let [EntityProblem::TooLarge { row, bytes, limit }] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((&**row, *limit), ("sample:7", 8 << 20));
    assert!(9 << 20 < *bytes);
}

/// A secret, masked for an API.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
struct Masked(String);

impl Serialize for Masked {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "login")]
struct Login {
    #[entity(id)]
    id: u32,
    place: Option<f64>,
    password_hash: Masked,
    second: Option<Option<u8>>,
}

#[test]
fn a_field_that_changes_when_read_back_is_named() {
    let login = |place, hash: &str, second| Login {
        id: 1,
        place,
        password_hash: Masked(hash.to_owned()),
        second,
    };
    check_entity([login(Some(117.633_311_394_000_17), "***", None)]).unwrap();
    for (row, field) in [
        (login(None, "$argon2id$", None), "password_hash"),
        (login(None, "***", Some(None)), "second"),
        (login(Some(f64::NAN), "***", None), "place"),
    ] {
        let differs = EntityProblem::Differs {
            row: "login:1".to_owned(),
            field,
        };
        assert_eq!(problems([row]), [differs]);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "board")]
struct Board {
    #[entity(id)]
    id: u32,
    cells: BTreeMap<(u8, u8), bool>,
}

#[test]
fn a_map_whose_keys_are_tuples_cannot_be_written() {
    check_entity([Board {
        id: 1,
        cells: BTreeMap::new(),
    }])
    .unwrap();
    let cells = BTreeMap::from([((0, 0), true)]);
    let found = problems([Board { id: 1, cells }]);
    assert!(
        matches!(&found[..], [EntityProblem::NotWritten { .. }]),
        "{found:?}"
    );
    assert!(found[0].to_string().contains("map keys"), "{}", found[0]);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "file")]
struct File {
    #[entity(id)]
    path: PathBuf,
}

#[test]
fn equal_ids_with_two_keys_are_a_problem() {
    let files = ["docs/a.txt", "docs//a.txt"].map(|path| File { path: path.into() });
    let keys = ["file:docs/a.txt", "file:docs//a.txt"].map(str::to_owned);
    let equal = EntityProblem::EqualWithTwoKeys { what: "ids", keys };
    assert_eq!(problems(files), [equal]);
}

/// A text that is compared case-insensitively.
#[derive(Clone, Debug, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct NoCase(String);

impl PartialEq for NoCase {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl std::hash::Hash for NoCase {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_lowercase().hash(state);
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "user")]
struct User {
    #[entity(id)]
    id: u32,
    #[entity(unique)]
    email: NoCase,
}

#[test]
fn equal_index_values_with_two_keys_are_a_problem() {
    let user = |id, email: &str| User {
        id,
        email: NoCase(email.to_owned()),
    };
    check_entity([user(1, "ann@x"), user(2, "bob@x")]).unwrap();
    let found = problems([user(1, "ann@x"), user(2, "Ann@x")]);
    let keys = ["user:email:ann@x", "user:email:Ann@x"].map(str::to_owned);
    let equal = EntityProblem::EqualWithTwoKeys {
        what: "index values",
        keys,
    };
    assert_eq!(found, [equal]);
}

/// A number that is serialized as its last digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
struct LastDigit(u32);

impl From<u32> for LastDigit {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl From<LastDigit> for u32 {
    fn from(number: LastDigit) -> Self {
        number.0 % 10
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "lock")]
struct Lock {
    #[entity(id)]
    number: LastDigit,
}

#[test]
fn different_ids_with_one_key_are_a_problem() {
    let lock = |number| Lock {
        number: LastDigit(number),
    };
    check_entity([lock(1), lock(2)]).unwrap();
    let found = problems([lock(1), lock(11)]);
    let (what, key) = ("ids", "lock:1".to_owned());
    assert!(
        found.contains(&EntityProblem::OneKeyForTwo { what, key }),
        "{found:?}"
    );
}

/// An id that JSON cannot represent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "cell")]
struct Cell {
    #[entity(id)]
    at: BTreeMap<(u8, u8), u8>,
}

#[test]
fn an_id_that_does_not_serialize_has_no_key() {
    let found = problems([Cell {
        at: BTreeMap::from([((1, 2), 3)]),
    }]);
    assert!(
        matches!(&found[..], [EntityProblem::NoKey { what }, EntityProblem::NotWritten { .. }] if what == "id"),
        "{found:?}"
    );
}

#[test]
fn unwrap_shows_each_problem_and_its_remedy() {
    let error = check_entity([sample(f64::NAN), sample(f64::INFINITY)]).unwrap_err();
    let text = format!("{error:?}");
    assert!(
        text.starts_with("`sample` cannot be cached as it is:\n- sample:7 is "),
        "{text}"
    );
    assert!(text.contains("NaN and infinity"), "{text}");
    // The two rows share one key and one problem.
    assert_eq!(text.lines().count(), 2, "{text}");
}
