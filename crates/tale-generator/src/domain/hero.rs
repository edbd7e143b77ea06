//! Heroes.

use aside::Entity;
use aside_sqlx::Table;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::draft::Draft;
use super::input::Input;
use super::kinds::{Gender, Language};
use super::row::Row;
use super::rules::{MAX_DESCRIPTION, MAX_NAME, Problems};
use super::time::now;
use crate::columns::{Id, JsonText, Time, Version, Word};

/// A hero, as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity, Table)]
#[entity(kind = "hero")]
#[table("heroes", postgres, sqlite, order = "created_at, id")]
pub struct Hero {
    /// The id of the hero.
    #[entity(id)]
    #[table(as = "Id")]
    pub id: Uuid,
    /// The name; several heroes may share one.
    #[entity(index)]
    pub name: String,
    /// The age in years, at least 1.
    pub age: i32,
    /// The gender.
    #[entity(nested)]
    #[table(as = "Word")]
    pub gender: Gender,
    /// The hero's appearance.
    pub appearance: String,
    /// At least one trait.
    #[table(as = "JsonText")]
    pub personality_traits: Vec<String>,
    /// The hero's interests; may be empty.
    #[table(as = "JsonText")]
    pub interests: Vec<String>,
    /// At least one strength.
    #[table(as = "JsonText")]
    pub strengths: Vec<String>,
    /// The language the hero speaks.
    #[entity(index = "lang", nested)]
    #[table(as = "Word")]
    pub language: Language,
    /// When the hero was added, to the microsecond.
    #[table(as = "Time")]
    pub created_at: Timestamp,
    /// When the hero last changed, to the microsecond.
    #[table(as = "Time")]
    pub updated_at: Timestamp,
    /// 1, and 1 more with each change; set by the database.
    #[entity(version)]
    #[table(as = "Version")]
    pub version: u64,
}

/// The fields of a hero that a client may write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeroDraft {
    /// The name, 1 to 200 characters.
    pub name: String,
    /// The age in years, at least 1.
    pub age: i32,
    /// The gender.
    pub gender: Gender,
    /// The hero's appearance.
    pub appearance: String,
    /// At least one trait.
    pub personality_traits: Vec<String>,
    /// The hero's interests; may be empty.
    pub interests: Vec<String>,
    /// At least one strength.
    pub strengths: Vec<String>,
    /// The language the hero speaks.
    pub language: Language,
}

impl Draft for HeroDraft {
    fn take(input: &mut Input<'_>) -> Self {
        Self {
            name: input.required("name", "a text").unwrap_or_default(),
            age: input
                .required("age", "a whole number from 1 to 2147483647")
                .unwrap_or_default(),
            gender: input
                .required("gender", "one of male, female, other")
                .unwrap_or(Gender::Other),
            appearance: input.required("appearance", "a text").unwrap_or_default(),
            personality_traits: input
                .required("personality_traits", "a list of texts")
                .unwrap_or_default(),
            interests: input
                .required("interests", "a list of texts")
                .unwrap_or_default(),
            strengths: input
                .required("strengths", "a list of texts")
                .unwrap_or_default(),
            language: input
                .required("language", "one of en, ru")
                .unwrap_or(Language::En),
        }
    }

    fn check(&self, problems: &mut Problems) {
        problems.words("name", &self.name, MAX_NAME);
        problems.number("age", self.age, 1, i32::MAX);
        problems.text("appearance", &self.appearance, MAX_DESCRIPTION);
        problems.phrases("personality_traits", &self.personality_traits, 1);
        problems.phrases("interests", &self.interests, 0);
        problems.phrases("strengths", &self.strengths, 1);
    }
}

impl Row for Hero {
    type Draft = HeroDraft;

    fn with_id(id: Uuid, draft: HeroDraft) -> Self {
        let now = now();
        Self {
            id,
            name: draft.name,
            age: draft.age,
            gender: draft.gender,
            appearance: draft.appearance,
            personality_traits: draft.personality_traits,
            interests: draft.interests,
            strengths: draft.strengths,
            language: draft.language,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    fn draft(&self) -> HeroDraft {
        HeroDraft {
            name: self.name.clone(),
            age: self.age,
            gender: self.gender,
            appearance: self.appearance.clone(),
            personality_traits: self.personality_traits.clone(),
            interests: self.interests.clone(),
            strengths: self.strengths.clone(),
            language: self.language,
        }
    }

    fn stamps(&self) -> (Timestamp, Timestamp, u64) {
        (self.created_at, self.updated_at, self.version)
    }

    fn set_stamps(&mut self, stamps: (Timestamp, Timestamp, u64)) {
        (self.created_at, self.updated_at, self.version) = stamps;
    }
}
