//! The protocol of the shared tier: operations and replies.
//!
//! Every operation affects one key, atomically. Redis runs it as a command or a
//! script, `memory://` under a lock, and the simulation at any time it chooses.
//! All three share this vocabulary and the conformance suite, and callers do
//! not know which one they use. Operations are data, so that several travel as
//! one pipeline and a test can run them in lock step with a model.

pub(crate) mod message;
pub(crate) mod value;
mod tier;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use aside_redis::Refusal;
use bytes::Bytes;

pub(crate) use tier::{Failure, OnMessage, SharedTier, Traffic, Unanswered};

use crate::entity::key::Key;

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

/// An operation on one key, or one page of a scan.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Reads the key. [`Reply::Value`], or [`Reply::Cut`].
    Get { key: Key },
    /// Reads several keys. [`Reply::Values`]; a value that is too large is cut
    /// to the size of a header.
    GetMany { keys: Vec<Key> },
    /// Requests the right to fill. [`Reply::Acquired`].
    Acquire {
        key: Key,
        token: Token,
        lease: Duration,
        /// The header of the value that the caller rejected; a value that
        /// begins with it may be replaced.
        observed: Option<Vec<u8>>,
    },
    /// Stores a value if the key still holds this token. [`Reply::Filled`].
    Fill {
        key: Key,
        token: Token,
        value: Vec<u8>,
        ttl: Duration,
    },
    /// Gives up the right to fill. [`Reply::Done`].
    Abandon { key: Key, token: Token },
    /// Removes value and lease, and prevents other fills until the writer
    /// releases the key or its deadline passes. [`Reply::Done`].
    Quarantine {
        key: Key,
        writer: Token,
        ttl: Duration,
        message: String,
    },
    /// Ends a quarantine, perhaps storing a value. [`Reply::Released`].
    Release {
        key: Key,
        writer: Token,
        message: String,
        value: Option<(Vec<u8>, Duration)>,
    },
    /// Removes value and lease; a quarantine stays and is marked dirty.
    /// [`Reply::Done`].
    Invalidate { key: Key, message: String },
    /// Raises the epoch of a kind above every known one, and notifies every
    /// instance. [`Reply::Epoch`].
    Bump {
        key: Key,
        kind: String,
        known: u64,
        how: Bump,
        message: String,
        /// The era that begins if the epochs can no longer be trusted.
        era: Era,
    },
    /// Reads, and perhaps changes, the era and the last known state of the
    /// database. [`Reply::History`].
    History {
        key: Key,
        era: Option<(Era, Begin)>,
        /// The state required for a change, and the new state.
        known: Option<(String, String)>,
    },
    /// Stores a raw value under a key of an unregistered kind. [`Reply::Done`].
    Set {
        key: Key,
        value: Vec<u8>,
        ttl: Option<Duration>,
    },
    /// Removes a key of an unregistered kind. [`Reply::Existed`].
    Delete { key: Key },
    /// Checks if the key exists, in any state. [`Reply::Existed`].
    Exists { key: Key },
    /// Reads the key's time to live. [`Reply::Lives`].
    Ttl { key: Key },
    /// Reads the type of the key's value. [`Reply::Type`].
    Type { key: Key },
    /// Sends every instance a message that concerns no single key.
    /// [`Reply::Done`].
    Publish { message: String },
    /// Reads one page of the keys that match a glob pattern. [`Reply::Page`].
    Scan {
        cursor: u64,
        pattern: String,
        count: usize,
    },
}

/// The condition under which BUMP raises an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bump {
    /// Unconditionally.
    Always,
    /// Only if there is none, or it is older than the known one.
    IfOlder,
    /// Only if there is one; without one, no instance has cached the kind.
    IfThere,
}

/// The condition under which HISTORY begins an era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Always,
    IfMissing,
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

/// The purpose of a pipeline, by its first operation: a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpGroup {
    Read,
    Acquire,
    Fill,
    Quarantine,
    Release,
    Invalidate,
    Other,
}

impl OpGroup {
    pub(crate) const ALL: [Self; 7] = [
        Self::Read,
        Self::Acquire,
        Self::Fill,
        Self::Quarantine,
        Self::Release,
        Self::Invalidate,
        Self::Other,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Acquire => "acquire",
            Self::Fill => "fill",
            Self::Quarantine => "quarantine",
            Self::Release => "release",
            Self::Invalidate => "invalidate",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(ops: &[Op]) -> Self {
        match ops.first() {
            Some(Op::Get { .. } | Op::GetMany { .. }) => Self::Read,
            Some(Op::Acquire { .. }) => Self::Acquire,
            Some(Op::Fill { .. } | Op::Abandon { .. }) => Self::Fill,
            Some(Op::Quarantine { .. }) => Self::Quarantine,
            Some(Op::Release { .. }) => Self::Release,
            Some(Op::Invalidate { .. } | Op::Bump { .. } | Op::Publish { .. }) => Self::Invalidate,
            _ => Self::Other,
        }
    }
}

impl Op {
    /// Returns true if a missing reply leaves no copy stale: the operation
    /// reads, or concerns the right to fill, which expires. A write that other
    /// instances may not have been notified of does not qualify.
    pub(crate) fn only_reads_or_fills(&self) -> bool {
        matches!(
            self,
            Self::Get { .. }
                | Self::GetMany { .. }
                | Self::Acquire { .. }
                | Self::Fill { .. }
                | Self::Abandon { .. }
        )
    }

    /// Returns the number of value bytes that `ops` send to the server.
    pub(crate) fn value_bytes(ops: &[Self]) -> usize {
        let bytes = |op: &Self| match op {
            Self::Fill { value, .. } => value.len(),
            Self::Release { value, .. } => value.as_ref().map_or(0, |(value, _)| value.len()),
            _ => 0,
        };
        ops.iter().map(bytes).sum()
    }

    /// Returns true if it invalidates copies of other instances.
    pub(crate) fn invalidates(&self) -> bool {
        matches!(
            self,
            Self::Quarantine { .. }
                | Self::Release { .. }
                | Self::Invalidate { .. }
                | Self::Bump { .. }
                | Self::Publish { .. }
        )
    }

    /// Returns true if the protocol depends on it. The server may refuse any
    /// other operation to a user with all rights that consistency needs.
    pub(crate) fn is_of_protocol(&self) -> bool {
        match self {
            Self::Get { .. }
            | Self::GetMany { .. }
            | Self::Acquire { .. }
            | Self::Fill { .. }
            | Self::Abandon { .. }
            | Self::Quarantine { .. }
            | Self::Release { .. }
            | Self::Invalidate { .. } => true,
            // If refused, its kind stays unreleased; nothing else is affected.
            Self::Bump { .. }
            // If refused, its caller retries, or invalidates each kind instead.
            | Self::History { .. }
            | Self::Set { .. }
            | Self::Delete { .. }
            | Self::Exists { .. }
            | Self::Ttl { .. }
            | Self::Type { .. }
            | Self::Publish { .. }
            | Self::Scan { .. } => false,
        }
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
    /// The next cursor, zero after the last page, and some keys.
    Page {
        cursor: u64,
        keys: Vec<String>,
    },
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
#[error("{0}")]
pub(crate) struct Refused(pub(crate) Refusal);

impl Refused {
    /// Creates the error with this code, such as `OOM` or `READONLY`.
    pub(crate) fn with(code: &str) -> Self {
        Self(Refusal::parse(code))
    }

    /// Returns true if memory is full: the server is alive and did nothing.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.0.code() == "OOM"
    }

    /// Returns true if the key has a value of another type.
    pub(crate) fn is_wrong_type(&self) -> bool {
        self.0.code() == "WRONGTYPE"
    }

    /// Returns true if the error says nothing about the server's health.
    pub(crate) fn is_harmless(&self) -> bool {
        self.is_out_of_memory() || self.is_wrong_type()
    }
}

pub(crate) mod scripts;
pub(crate) mod commands;
pub(crate) mod state;
