//! The closed sets of values: gender and language.

use std::fmt;
use std::str::FromStr;

use aside::{Shape, entity::ExactText};
use serde::{Deserialize, Serialize};

/// The gender of a hero or a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Shape)]
#[serde(rename_all = "lowercase")]
pub enum Gender {
    /// `male`
    Male,
    /// `female`
    Female,
    /// `other`
    Other,
}

/// The language a hero speaks or a story is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Shape)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// `en`
    En,
    /// `ru`
    Ru,
}

impl ExactText for Gender {}

impl ExactText for Language {}

/// A word that is not a value of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {allowed}")]
pub struct Unknown {
    allowed: &'static str,
}

impl Gender {
    /// Returns its word in JSON, in keys and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Male => "male",
            Self::Female => "female",
            Self::Other => "other",
        }
    }
}

impl Language {
    /// Returns its word in JSON, in keys and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ru => "ru",
        }
    }
}

impl FromStr for Gender {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        match word {
            "male" => Ok(Self::Male),
            "female" => Ok(Self::Female),
            "other" => Ok(Self::Other),
            _ => Err(Unknown {
                allowed: "male, female, other",
            }),
        }
    }
}

impl FromStr for Language {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        match word {
            "en" => Ok(Self::En),
            "ru" => Ok(Self::Ru),
            _ => Err(Unknown { allowed: "en, ru" }),
        }
    }
}

impl fmt::Display for Gender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
