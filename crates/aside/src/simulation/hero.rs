//! A row of the world, and its keys in histories.

use serde::{Deserialize, Serialize};

/// All keys that are read, as in histories.
pub(super) const KEYS: [&str; 6] = [
    "hero:1",
    "hero:2",
    "hero:3",
    "hero:name:a",
    "hero:name:b",
    "hero:all",
];

/// The result of a query, as in histories: the row 1, and the list of the name a.
pub(super) const QUERY: &str = "query:1+a";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, crate::Entity)]
#[entity(kind = "hero", crate = "crate")]
pub(super) struct Hero {
    #[entity(id)]
    pub(super) id: u64,
    #[entity(index)]
    pub(super) name: String,
    #[entity(version)]
    pub(super) version: u64,
    /// The version of the list it was read from; zero outside of lists. So a
    /// cached list shows its age.
    pub(super) list: u64,
}

impl Hero {
    pub(super) fn new(id: u64, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            version: 0,
            list: 0,
        }
    }

    /// Returns its text as a member of a list.
    pub(super) fn member(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }
}

/// Returns the key of a list, as in histories.
pub(super) fn list_key(index: Option<&HeroIndex>) -> String {
    match index {
        Some(HeroIndex::Name(name)) => format!("hero:name:{name}"),
        None => "hero:all".to_owned(),
    }
}

/// Returns true if a row belongs to the list of a key.
pub(super) fn stands_in(row: &Hero, key: &str) -> bool {
    match key {
        "hero:all" => true,
        QUERY => row.id == 1 || row.name == "a",
        _ => key.strip_prefix("hero:name:") == Some(&row.name),
    }
}
