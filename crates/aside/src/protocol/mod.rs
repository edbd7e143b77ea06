//! The protocol of the shared tier: operations and replies.
//!
//! Every operation affects one key, atomically. Redis runs it as a command or a
//! script, `memory://` under a lock, and the simulation at any time it chooses.
//! All three share this vocabulary and the conformance suite, and callers do
//! not know which one they use. Operations are data, so that several travel as
//! one pipeline and a test can run them in lock step with a model.

pub(crate) mod message;
pub(crate) mod value;
mod op;
mod tier;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use aside_redis::Refusal;
use aside_redis::cluster::Redirect;
use bytes::Bytes;

use self::value::KeyStamp;

pub(crate) use op::{Begin, Bump, Op, OpGroup};
pub(crate) use tier::{Failure, OnMessage, SharedTier, Traffic, Unanswered};

/// A future returned by a shared tier.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The replies to a pipeline: one result per operation, in order.
pub(crate) type Replies = Vec<Result<Reply, Refused>>;

/// 128 random bits that identify one fill or one writer.
///
/// A token is sent in exactly one ACQUIRE, and a writer in exactly one
/// QUARANTINE. A packet delayed on an abandoned connection may still be
/// executed; under a reused token it would destroy a newer value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token(u128);

impl Token {
    pub(crate) fn random() -> Self {
        Self(fastrand::u128(..))
    }

    /// Returns its first half, which is the stamp of a key that it leases, and of
    /// the value that fills it.
    pub(crate) fn stamp(self) -> KeyStamp {
        #[allow(clippy::cast_possible_truncation)]
        KeyStamp::from_number((self.0 >> 64) as u64)
    }

    #[cfg(test)]
    pub(crate) fn from_number(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for Token {
    /// Formats 32 hex digits, as scripts compare them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({self})")
    }
}

/// A random number that separates values filled after an anomaly from those
/// filled before it; zero for the first era.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Era(pub(crate) u64);

impl Era {
    pub(crate) fn random() -> Self {
        Self(fastrand::u64(1..))
    }

    /// Parses 16 hex digits; any other text is an era begun by another version.
    pub(crate) fn parse(text: &[u8]) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let digits = std::str::from_utf8(text).ok();
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Self(number.unwrap_or_else(|| xxhash_rust::xxh3::xxh3_64(text)))
    }
}

impl fmt::Display for Era {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// The reply to one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    Value(Option<Bytes>),
    /// The key's value is too large to be usable. Only as many bytes as a
    /// header has were received.
    Cut(Bytes),
    Values(Vec<Option<Bytes>>),
    Acquired(Acquired),
    /// True if the fill was accepted.
    Filled(bool),
    /// True if the caller is to refresh the value.
    Claimed(bool),
    Stamped(Stamped),
    Released(Released),
    Existed(bool),
    /// The current epoch of a kind, in milliseconds.
    Epoch(u64),
    History {
        era: Era,
        /// The last known state of the database.
        known: String,
    },
    Lives(Lives),
    /// The name of a type, such as `string`; `none` if there is no such key.
    Type(String),
    /// The server's time and all reports of a hash.
    Announced {
        now: u64,
        reports: Vec<Report>,
    },
    /// The next cursor, zero after the last page, and some keys.
    Page {
        cursor: u64,
        keys: Vec<String>,
    },
}

/// A report that an instance announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) field: String,
    /// When it was announced, in milliseconds of the server's clock.
    pub(crate) at: u64,
    pub(crate) text: String,
}

impl Report {
    /// Parses a field's value; `None` if another program wrote it.
    pub(crate) fn parse(field: &str, value: &str) -> Option<Self> {
        let (at, text) = value.split_once(' ')?;
        Some(Self {
            field: field.to_owned(),
            at: at.parse().ok()?,
            text: text.to_owned(),
        })
    }
}

/// The result of ACQUIRE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// A value, filled since the caller looked.
    Value(Vec<u8>),
    /// No value: the caller holds the right to fill.
    Granted,
    /// Another reader holds the right to fill.
    Wait,
    /// A write is in progress.
    Quarantined,
}

/// The result of STAMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamped {
    At(KeyStamp),
    /// A write is in progress.
    Quarantined,
}

/// The result of RELEASE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// The quarantine had been lost; the key is empty now.
    Lost,
    /// The quarantine was intact.
    Intact,
    /// The quarantine was intact and clean, and the value is stored.
    Stored,
}

/// The time to live of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lives {
    Absent,
    Forever,
    For(Duration),
}

/// The server returned an error for one operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}")]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    /// Another node serves the key's slot. The operation did nothing here.
    pub(crate) redirect: Option<Box<Redirect>>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            redirect: None,
        }
    }
}

impl Refused {
    /// Creates the error with this code, such as `OOM` or `READONLY`.
    pub(crate) fn with(code: &str) -> Self {
        Self::from(Refusal::parse(code))
    }

    /// Creates the error of a node that does not serve the key's slot.
    pub(crate) fn redirected(redirect: Redirect) -> Self {
        let code = redirect.kind.code();
        Self {
            redirect: Some(Box::new(redirect)),
            ..Self::with(code)
        }
    }

    /// Returns true if memory is full: the server is alive and did nothing.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.refusal.code() == "OOM"
    }

    /// Returns true if the key has a value of another type.
    pub(crate) fn is_wrong_type(&self) -> bool {
        self.refusal.code() == "WRONGTYPE"
    }

    /// Returns true if the error says nothing about the server's health.
    pub(crate) fn is_harmless(&self) -> bool {
        self.is_out_of_memory() || self.is_wrong_type() || self.redirect.is_some()
    }
}

pub(crate) mod scripts;
pub(crate) mod commands;
pub(crate) mod state;
