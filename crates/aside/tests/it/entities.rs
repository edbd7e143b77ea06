//! The rows of the tests: heroes, and books that depend on them.

use aside::Entity;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::database::Versioned;

/// A row with two lists, one of which is not named after its field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
pub(crate) struct Hero {
    #[entity(id)]
    pub(crate) id: Uuid,
    #[entity(index)]
    pub(crate) name: String,
    #[entity(index = "lang")]
    pub(crate) language: String,
    #[entity(version)]
    pub(crate) version: u64,
}

/// A row with an optional index and an index of two fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity)]
#[entity(kind = "book", index(exact = (title, year)))]
pub(crate) struct Book {
    #[entity(id)]
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) year: i32,
    #[entity(index)]
    pub(crate) shelf: Option<String>,
    pub(crate) hero: Option<Uuid>,
    #[entity(version)]
    pub(crate) version: u64,
}

/// Returns a hero with a new id.
pub(crate) fn hero(name: &str, language: &str) -> Hero {
    Hero {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        language: language.to_owned(),
        version: 0,
    }
}

/// Returns a book on no shelf.
pub(crate) fn book(id: &str, title: &str, year: i32) -> Book {
    Book {
        id: id.to_owned(),
        title: title.to_owned(),
        year,
        shelf: None,
        hero: None,
        version: 0,
    }
}

impl Hero {
    pub(crate) fn key(&self) -> String {
        format!("hero:{}", self.id)
    }

    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self.clone()
        }
    }

    pub(crate) fn speaking(&self, language: &str) -> Self {
        Self {
            language: language.to_owned(),
            ..self.clone()
        }
    }
}

impl Book {
    pub(crate) fn on_shelf(&self, shelf: Option<&str>) -> Self {
        Self {
            shelf: shelf.map(str::to_owned),
            ..self.clone()
        }
    }
}

/// The list of heroes that speak a language.
pub(crate) fn speaking(language: &str) -> HeroIndex {
    HeroIndex::Language(language.to_owned())
}

/// The list of heroes of a name.
pub(crate) fn named(name: &str) -> HeroIndex {
    HeroIndex::Name(name.to_owned())
}

impl Versioned for Hero {
    fn set_version(&mut self, version: u64) {
        self.version = version;
    }
}

impl Versioned for Book {
    fn set_version(&mut self, version: u64) {
        self.version = version;
    }
}
