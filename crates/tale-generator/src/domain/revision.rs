//! Which state of a row a writer has seen.
//!
//! A version alone does not say it: where a database was restored, or another
//! program wrote the row, two states of it have the same version. So a revision
//! holds what the row looked like as well.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// How many bytes of the SHA-256 are kept.
const BYTES: usize = 16;

/// The state of a row: its version, and a hash of its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    version: u64,
    hash: [u8; BYTES],
}

/// A state whose JSON is being written.
#[derive(Clone, Debug)]
pub struct Seen {
    version: u64,
    hash: Sha256,
}

impl Seen {
    /// Takes the next part of the JSON.
    pub fn see(&mut self, json: &[u8]) {
        self.hash.update(json);
    }

    /// The state, after all of its JSON.
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
    /// The state of this version whose JSON is still to be seen.
    #[must_use]
    pub fn begin(version: u64) -> Seen {
        Seen {
            version,
            hash: Sha256::new(),
        }
    }

    /// The state that has this version and this JSON.
    #[must_use]
    pub fn new(version: u64, json: &[u8]) -> Self {
        let mut seen = Self::begin(version);
        seen.see(json);
        seen.end()
    }

    /// Reads what `Display` writes, and no other form of it.
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

/// What a row must be for a write to go ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// Of this version.
    Version(u64),
    /// In one of these states.
    Revisions(Vec<Revision>),
}

impl Expected {
    /// Whether a write of this row may go ahead.
    #[must_use]
    pub fn admits<T: Serialize>(&self, row: &T, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Version(expected) => *expected == version,
            Self::Revisions(revisions) => {
                // Rows always have a JSON form: it is what is cached of them.
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
    fn a_revision_is_read_in_the_form_it_is_written_in_alone() {
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
    fn a_version_that_came_back_with_other_content_is_another_state() {
        let seen = Expected::Revisions(vec![Revision::new(2, br#"["a"]"#)]);
        assert!(seen.admits(&["a"], 2));
        assert!(!seen.admits(&["b"], 2));
        assert!(!seen.admits(&["a"], 3));
        assert!(Expected::Version(2).admits(&["b"], 2));
    }
}
