//! Two different lookups never share a key, for any text.

use aside::Entity;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{id_key, index_key};

#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "person", index(exact = (name, nick, age), "by-nick" = (nick, name)))]
struct Person {
    #[entity(id)]
    id: String,
    #[entity(index)]
    name: String,
    #[entity(unique)]
    nick: Option<String>,
    #[entity(index)]
    age: i64,
    #[entity(index)]
    tags: Vec<Option<String>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Lookup {
    All,
    Id(String),
    List(PersonIndex),
}

impl Lookup {
    fn key(&self) -> String {
        match self {
            // The library writes this key itself, in the same form for every
            // kind.
            Self::All => "person:all".into(),
            Self::Id(id) => id_key::<Person>(id),
            Self::List(index) => index_key::<Person>(index),
        }
    }
}

/// Texts of every kind, and above all those that look like parts of keys.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a:%#^/\\\\*\u{7f}\u{0}é]{0,4}",
        "(all|%61ll|name|name:a|null|5|\\^null|#|exact|by-nick|%|%3A|%253A)",
        "[ab:я]{190,210}",
        // Around the length at which a digest replaces the segment.
        (199_usize..203).prop_map(|length| "x".repeat(length)),
        any::<String>().prop_map(|end| "y".repeat(200) + &end),
        any::<u128>().prop_map(|digest| format!("#{digest:064x}")),
    ]
}

fn lookup() -> impl Strategy<Value = Lookup> {
    let list = prop_oneof![
        text().prop_map(PersonIndex::Name),
        text().prop_map(PersonIndex::Nick),
        (-3..6_i64).prop_map(PersonIndex::Age),
        proptest::collection::vec(proptest::option::of(text()), 0..3).prop_map(PersonIndex::Tags),
        (text(), text(), -3..6_i64).prop_map(|(name, nick, age)| PersonIndex::Exact {
            name,
            nick,
            age
        }),
        (text(), text()).prop_map(|(nick, name)| PersonIndex::ByNick { nick, name }),
    ];
    prop_oneof![
        1 => Just(Lookup::All),
        3 => text().prop_map(Lookup::Id),
        6 => list.prop_map(Lookup::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn two_lookups_share_a_key_only_if_they_are_equal(
        lookups in proptest::collection::vec(lookup(), 2..12),
    ) {
        for first in &lookups {
            prop_assert_eq!(first.key(), first.clone().key());
            for second in &lookups {
                prop_assert_eq!(first == second, first.key() == second.key());
            }
        }
    }

    #[test]
    fn a_key_is_one_line_without_patterns_and_of_bounded_length(lookup in lookup()) {
        let key = lookup.key();
        prop_assert!(!key.chars().any(char::is_control));
        let pattern = key.contains(['*', '?', '[', ']', '\\', '{', '}']);
        prop_assert!(!pattern, "{}", key);
        // Three values at most, and the longest name.
        prop_assert!(key.len() <= "person:by-nick".len() + 3 * 201, "{}", key);
    }

    #[test]
    fn moving_text_between_parts_of_a_value_changes_the_key(
        name in text(),
        between in text(),
        nick in text(),
    ) {
        prop_assume!(!between.is_empty());
        let first = PersonIndex::ByNick { nick: nick.clone(), name: between.clone() + &name };
        let second = PersonIndex::ByNick { nick: nick + &between, name };
        prop_assert_ne!(index_key::<Person>(&first), index_key::<Person>(&second));
    }
}

#[test]
fn an_id_that_looks_like_an_index_key_is_not_that_list() {
    let id = "name:Ida".to_owned();
    assert_eq!(id_key::<Person>(&id), "person:name%3AIda");
}
