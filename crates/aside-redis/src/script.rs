//! A script, as a server remembers it.

use std::fmt;
use std::fmt::Write as _;

use sha1::{Digest, Sha1};

/// A script, under the name by which a server remembers it.
pub struct Script {
    name: &'static str,
    source: &'static str,
    sha1: String,
}

impl Script {
    /// Makes a script of its name for people and its Lua text.
    #[must_use]
    pub fn new(name: &'static str, source: &'static str) -> Self {
        let mut sha1 = String::with_capacity(40);
        for byte in Sha1::digest(source.as_bytes()) {
            let _ = write!(sha1, "{byte:02x}");
        }
        Self { name, source, sha1 }
    }

    /// Returns the name for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the Lua text, for `SCRIPT LOAD`.
    #[must_use]
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// Returns what `EVALSHA` names it by: the text's SHA-1 in lowercase hex.
    #[must_use]
    pub fn sha1(&self) -> &str {
        &self.sha1
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Script({} {})", self.name, self.sha1)
    }
}
