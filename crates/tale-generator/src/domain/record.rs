//! A row of any kind.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::child::Child;
use super::draft::Draft as _;
use super::error::TaleError;
use super::hero::Hero;
use super::row::Row;
use super::rules::Problems;
use super::story::Story;

/// A row of any kind, as in one line of an export.
///
/// Read it with [`parse`](Self::parse). A derived `Deserialize` would build a
/// tree of each row before it knows the kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// A hero.
    Hero(Hero),
    /// A child.
    Child(Child),
    /// A story.
    Story(Box<Story>),
}

#[derive(Deserialize)]
struct Tag {
    kind: Kind,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Hero,
    Child,
    Story,
}

impl Record {
    /// Reads a record from its JSON.
    ///
    /// # Errors
    /// The problem with the text and its position.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let Tag { kind } = serde_json::from_str(text)?;
        match kind {
            Kind::Hero => serde_json::from_str(text).map(Self::Hero),
            Kind::Child => serde_json::from_str(text).map(Self::Child),
            Kind::Story => serde_json::from_str(text).map(Self::Story),
        }
    }

    /// Returns the name of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hero(_) => "hero",
            Self::Child(_) => "child",
            Self::Story(_) => "story",
        }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        match self {
            Self::Hero(hero) => hero.id,
            Self::Child(child) => child.id,
            Self::Story(story) => story.id,
        }
    }

    /// Checks the rules of its kind, and the fields that the server otherwise
    /// sets itself: the id, the timestamps, the version.
    ///
    /// # Errors
    /// [`TaleError::Invalid`] with every field that breaks a rule.
    pub fn validate(&self) -> Result<(), TaleError> {
        match self {
            Self::Hero(hero) => validate(hero),
            Self::Child(child) => validate(child),
            Self::Story(story) => validate(story.as_ref()),
        }
    }
}

fn validate<R: Row>(row: &R) -> Result<(), TaleError> {
    let mut problems = Problems::default();
    row.draft().check(&mut problems);
    // An export pages by id and begins after the nil UUID.
    if *row.id() == Uuid::nil() {
        problems.add("id", "must not be the nil UUID");
    }
    let (created_at, updated_at, version) = row.stamps();
    problems.time("created_at", created_at);
    problems.time("updated_at", updated_at);
    if version < 1 || i64::MAX as u64 <= version {
        problems.add("version", "must be at least 1 and leave room for more");
    }
    problems.finish()
}
