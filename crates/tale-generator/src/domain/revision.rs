//! The state of a row that a writer has seen.
//!
//! A version alone does not identify it. After a database was restored, or
//! another program wrote the row, two states may have the same version. So a
//! revision also contains a hash of the contents.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The number of bytes kept of the SHA-256.
const BYTES: usize = 16;

/// The state of a row: its version, and a hash of its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    version: u64,
    hash: [u8; BYTES],
}

/// A state whose JSON is not yet complete.
#[derive(Clone, Debug)]
pub struct Seen {
    version: u64,
    hash: Sha256,
}

impl Seen {
    /// Adds the next part of the JSON.
    pub fn see(&mut self, json: &[u8]) {
        self.hash.update(json);
    }

    /// Returns the state, after all of its JSON.
    #[must_use]
    pub fn end(self) -> Revision {
        let mut hash = [0; BYTES];
        hash.copy_from_slice(&self.hash.finalize()[..BYTES]);
        Revision {
            version: self.version,
            hash,
        }
    }
}

impl Revision {
    /// Begins the state of this version; its JSON follows.
    #[must_use]
    pub fn begin(version: u64) -> Seen {
        Seen {
            version,
            hash: Sha256::new(),
        }
    }

    /// Returns the state with this version and this JSON.
    #[must_use]
    pub fn new(version: u64, json: &[u8]) -> Self {
        let mut seen = Self::begin(version);
        seen.see(json);
        seen.end()
    }

    /// Parses the exact output of `Display`, and no other form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (version, hex) = text.split_once('.')?;
        let mut hash = [0; BYTES];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        let revision = Self {
            version: version.parse().ok()?,
            hash,
        };
        (revision.to_string() == text).then_some(revision)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.", self.version)?;
        self.hash
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// The state of a row that a write requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any state.
    Any,
    /// This version.
    Version(u64),
    /// One of these states.
    Revisions(Vec<Revision>),
}

impl Expected {
    /// Returns true if a write of this row may proceed.
    #[must_use]
    pub fn admits<T: Serialize>(&self, row: &T, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Version(expected) => *expected == version,
            Self::Revisions(revisions) => {
                // Rows always have a JSON form, because the cache stores it.
                let json = serde_json::to_vec(row).unwrap_or_default();
                revisions.contains(&Revision::new(version, &json))
            }
        }
    }
}

impl From<Option<u64>> for Expected {
    fn from(version: Option<u64>) -> Self {
        version.map_or(Self::Any, Self::Version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_parsed_only_in_its_displayed_form() {
        let revision = Revision::new(7, b"{}");
        let text = revision.to_string();
        assert_eq!(Revision::parse(&text), Some(revision));
        for other in [
            "",
            "7",
            "7.",
            &text[1..],
            &text[..text.len() - 1],
            &format!("0{text}"),
            &format!("+{text}"),
            &format!("{text}0"),
            &text.replacen('.', "..", 1),
        ] {
            assert_eq!(Revision::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_reused_version_with_other_content_is_another_state() {
        let seen = Expected::Revisions(vec![Revision::new(2, br#"["a"]"#)]);
        assert!(seen.admits(&["a"], 2));
        assert!(!seen.admits(&["b"], 2));
        assert!(!seen.admits(&["a"], 3));
        assert!(Expected::Version(2).admits(&["b"], 2));
    }
}
