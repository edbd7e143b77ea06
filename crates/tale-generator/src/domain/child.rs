//! Children.

use aside::Entity;
use aside_sqlx::Table;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::draft::Draft;
use super::input::Input;
use super::kinds::Gender;
use super::row::Row;
use super::rules::{MAX_NAME, Problems};
use super::time::now;
use crate::columns::{Id, JsonText, Time, Version, Word};

/// A child for whom stories are told, as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity, Table)]
#[entity(kind = "child", index(exact = (name, age, gender)))]
#[table("children", postgres, sqlite, order = "created_at, id")]
pub struct Child {
    /// The id of the child.
    #[entity(id)]
    #[table(as = "Id")]
    pub id: Uuid,
    /// The name; its stories carry it too.
    #[entity(index)]
    pub name: String,
    /// The age in years, 1 to 18.
    pub age: i32,
    /// The gender.
    #[entity(nested)]
    #[table(as = "Word")]
    pub gender: Gender,
    /// The child's interests; may be empty.
    #[table(as = "JsonText")]
    pub interests: Vec<String>,
    /// When the child was added, to the microsecond.
    #[table(as = "Time")]
    pub created_at: Timestamp,
    /// When the child last changed, to the microsecond.
    #[table(as = "Time")]
    pub updated_at: Timestamp,
    /// 1, and 1 more with each change; set by the database.
    #[entity(version)]
    #[table(as = "Version")]
    pub version: u64,
}

/// The fields of a child that a client may write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildDraft {
    /// The name, 1 to 200 characters.
    pub name: String,
    /// The age in years, 1 to 18.
    pub age: i32,
    /// The gender.
    pub gender: Gender,
    /// The child's interests; may be empty.
    pub interests: Vec<String>,
}

impl Draft for ChildDraft {
    fn take(input: &mut Input<'_>) -> Self {
        Self {
            name: input.required("name", "a text").unwrap_or_default(),
            age: input
                .required("age", "a whole number from 1 to 18")
                .unwrap_or_default(),
            gender: input
                .required("gender", "one of male, female, other")
                .unwrap_or(Gender::Other),
            interests: input
                .required("interests", "a list of texts")
                .unwrap_or_default(),
        }
    }

    fn check(&self, problems: &mut Problems) {
        problems.words("name", &self.name, MAX_NAME);
        problems.number("age", self.age, 1, 18);
        problems.phrases("interests", &self.interests, 0);
    }
}

impl Row for Child {
    type Draft = ChildDraft;

    fn with_id(id: Uuid, draft: ChildDraft) -> Self {
        let now = now();
        Self {
            id,
            name: draft.name,
            age: draft.age,
            gender: draft.gender,
            interests: draft.interests,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    fn draft(&self) -> ChildDraft {
        ChildDraft {
            name: self.name.clone(),
            age: self.age,
            gender: self.gender,
            interests: self.interests.clone(),
        }
    }

    fn stamps(&self) -> (Timestamp, Timestamp, u64) {
        (self.created_at, self.updated_at, self.version)
    }

    fn set_stamps(&mut self, stamps: (Timestamp, Timestamp, u64)) {
        (self.created_at, self.updated_at, self.version) = stamps;
    }
}
