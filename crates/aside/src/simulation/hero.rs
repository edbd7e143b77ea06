//! A row of the world, and the keys that histories name it by.

use serde::{Deserialize, Serialize};

/// Everything that is ever read, as histories name it.
pub(super) const KEYS: [&str; 6] = [
    "hero:1",
    "hero:2",
    "hero:3",
    "hero:name:a",
    "hero:name:b",
    "hero:all",
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, crate::Entity)]
#[entity(kind = "hero", crate = "crate")]
pub(super) struct Hero {
    #[entity(id)]
    pub(super) id: u64,
    #[entity(index)]
    pub(super) name: String,
    #[entity(version)]
    pub(super) version: u64,
    /// Which version of the list it was read in; zero outside of lists. So a
    /// list says how old it is, wherever it was kept meanwhile.
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

    /// As a member of a list.
    pub(super) fn member(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }
}

/// The key of a list, as the history names it.
pub(super) fn list_key(index: Option<&HeroIndex>) -> String {
    match index {
        Some(HeroIndex::Name(name)) => format!("hero:name:{name}"),
        None => "hero:all".to_owned(),
    }
}

/// Returns true if a row belongs to the list of a key.
pub(super) fn stands_in(row: &Hero, key: &str) -> bool {
    key == "hero:all" || key.strip_prefix("hero:name:") == Some(&row.name)
}
