//! The shared tier: what can be asked of it, and what it answers.
//!
//! Every operation touches one key and is atomic there. A real Redis runs it
//! as a command or a script, `memory://` runs it under a lock, and a simulated
//! world runs it whenever it likes: they share this vocabulary and the
//! conformance suite over it, and nothing above knows which of them it talks
//! to. Operations are data, so that several travel as one pipeline and a test
//! can drive them in lock step with a model.

pub(crate) mod message;
pub(crate) mod value;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::entity::key::Key;

/// A future that the caller of a shared tier awaits.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a pipeline brought: one result for each operation, in order.
pub(crate) type Replies = Vec<Result<Reply, Refused>>;

/// 128 random bits that name one fill or one writer, once.
///
/// A token goes out in exactly one ACQUIRE, and a writer in exactly one
/// QUARANTINE: a packet that stalled on a connection given up may still be
/// executed, and repeated under its old name it would destroy a newer value.
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
    /// 32 hex digits, as scripts compare them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({self})")
    }
}

/// One operation on one key, or one page of a scan.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Reads whatever state the key holds. [`Reply::Value`], or [`Reply::Cut`].
    Get { key: Key },
    /// Reads several keys at once. [`Reply::Values`]; what is too large is cut
    /// there, to as many bytes as a header has.
    GetMany { keys: Vec<Key> },
    /// Asks for the right to fill. [`Reply::Acquired`].
    Acquire {
        key: Key,
        token: Token,
        lease: Duration,
        /// The header of the value that the caller judged unacceptable; a
        /// value that begins with it may be replaced.
        observed: Option<Vec<u8>>,
    },
    /// Stores a value if the key still holds this token. [`Reply::Filled`].
    Fill {
        key: Key,
        token: Token,
        value: Vec<u8>,
        ttl: Duration,
    },
    /// Gives the right to fill back. [`Reply::Done`].
    Abandon { key: Key, token: Token },
    /// Destroys value and lease and keeps others from filling until the
    /// writer is released or its deadline has passed. [`Reply::Done`].
    Quarantine {
        key: Key,
        writer: Token,
        ttl: Duration,
        message: String,
    },
    /// Ends a quarantine, perhaps leaving a value. [`Reply::Released`].
    Release {
        key: Key,
        writer: Token,
        message: String,
        value: Option<(Vec<u8>, Duration)>,
    },
    /// Destroys value and lease; a quarantine stays and is marked dirty.
    /// [`Reply::Done`].
    Invalidate { key: Key, message: String },
    /// Raises the epoch of a kind beyond everything known, and tells every
    /// instance. [`Reply::Epoch`].
    Bump {
        key: Key,
        kind: String,
        known: u64,
        how: Bump,
        message: String,
        /// Begins if the epochs are not to be believed any more.
        era: Era,
    },
    /// Reads, and perhaps changes, which era it is and what was last known of the
    /// database. [`Reply::History`].
    History {
        key: Key,
        era: Option<(Era, Begin)>,
        /// What must be known for anything to happen, and what is known then.
        known: Option<(String, String)>,
    },
    /// Stores a raw value under a key of no registered kind. [`Reply::Done`].
    Set {
        key: Key,
        value: Vec<u8>,
        ttl: Option<Duration>,
    },
    /// Removes a key of no registered kind. [`Reply::Existed`].
    Delete { key: Key },
    /// Whether the key exists, in whatever state. [`Reply::Existed`].
    Exists { key: Key },
    /// How long the key will live. [`Reply::Lives`].
    Ttl { key: Key },
    /// Tells every instance something that is about no single key.
    /// [`Reply::Done`].
    Publish { message: String },
    /// One page of the keys that match a glob pattern. [`Reply::Page`].
    Scan {
        cursor: u64,
        pattern: String,
        count: usize,
    },
}

/// When BUMP raises the epoch that a kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bump {
    /// Whatever it is.
    Always,
    /// Only if there is none, or an older one than is known.
    IfOlder,
    /// Only if there is one: where there is none, nobody has anything of the kind.
    IfThere,
}

/// When HISTORY begins an era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Always,
    IfMissing,
}

/// A random number that tells what was filled since something unheard-of happened
/// from what was filled before; zero for the first era.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Era(pub(crate) u64);

impl Era {
    pub(crate) fn random() -> Self {
        Self(fastrand::u64(1..))
    }

    /// Reads 16 hex digits; anything else is an era that another version began.
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

impl Op {
    /// Whether no copy is older for its not having been answered: it reads, or
    /// concerns the right to fill, which ends by itself. A write that others may
    /// not have heard of is not one.
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

    /// How many bytes of values `ops` bring to the server.
    pub(crate) fn value_bytes(ops: &[Self]) -> usize {
        let bytes = |op: &Self| match op {
            Self::Fill { value, .. } => value.len(),
            Self::Release { value, .. } => value.as_ref().map_or(0, |(value, _)| value.len()),
            _ => 0,
        };
        ops.iter().map(bytes).sum()
    }

    /// Whether others forget what they hold because of it.
    pub(crate) fn makes_forget(&self) -> bool {
        matches!(
            self,
            Self::Quarantine { .. }
                | Self::Release { .. }
                | Self::Invalidate { .. }
                | Self::Bump { .. }
                | Self::Publish { .. }
        )
    }

    /// Whether the protocol rests on it. Another may be refused to a user who
    /// is allowed all that keeps copies in step.
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
            // Refused, it leaves its kind held, and nothing else suffers.
            Self::Bump { .. }
            // Refused, its caller tries again, or forgets each kind instead.
            | Self::History { .. }
            | Self::Set { .. }
            | Self::Delete { .. }
            | Self::Exists { .. }
            | Self::Ttl { .. }
            | Self::Publish { .. }
            | Self::Scan { .. } => false,
        }
    }
}

/// What one operation answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    Value(Option<Bytes>),
    /// What the key holds is larger than anybody could use. It was not received,
    /// but for as many bytes as a header has.
    Cut(Bytes),
    Values(Vec<Option<Bytes>>),
    Acquired(Acquired),
    /// Whether the fill was accepted.
    Filled(bool),
    Released(Released),
    Existed(bool),
    /// The epoch that a kind has now, in milliseconds.
    Epoch(u64),
    History {
        era: Era,
        /// What is last known of the database.
        known: String,
    },
    Lives(Lives),
    /// The cursor to go on with, zero after the last page, and some keys.
    Page {
        cursor: u64,
        keys: Vec<String>,
    },
}

/// What ACQUIRE found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// A value, filled since the caller looked.
    Value(Vec<u8>),
    /// Nothing: the caller holds the right to fill.
    Granted,
    /// Somebody else holds it.
    Wait,
    /// A write is under way.
    Quarantined,
}

/// What RELEASE found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// The quarantine had been lost; whatever stood there is gone now.
    Lost,
    /// The quarantine was intact.
    Intact,
    /// The quarantine was intact and clean, and the value is stored.
    Stored,
}

/// How long a key will live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lives {
    Absent,
    Forever,
    For(Duration),
}

/// The server answered one operation with an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}")]
pub(crate) struct Refused {
    /// The error's first word, such as `OOM` or `READONLY`.
    pub(crate) code: String,
}

impl Refused {
    /// Memory is full: the server is alive, and did nothing.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.code == "OOM"
    }

    /// It says nothing about the server's health.
    pub(crate) fn is_harmless(&self) -> bool {
        self.is_out_of_memory() || self.code == "WRONGTYPE"
    }
}

/// No reply came: the operations may or may not have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("there is no connection to send it on")]
    NotSent,
    #[error("the connection was lost")]
    Disconnected,
    #[error("no reply within the deadline")]
    TimedOut,
    /// The server is answering, but the whole of it did not come in time.
    #[error("the reply was still arriving at the deadline")]
    Late,
    /// A large value, this one or one ahead of it, takes longer than the deadline
    /// to travel. It says nothing about the server.
    #[error("a large value was still on its way at the deadline")]
    Travelling,
}

/// One of the connections to a server; operations on one lane keep order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane(pub(crate) usize);

/// Where values are shared between processes.
pub(crate) trait SharedTier: fmt::Debug + Send + Sync {
    /// The lane that the next piece of work should use.
    fn lane(&self) -> Lane;

    /// The lane that rows are read on: the same for all, as far as it can be,
    /// because what travels on one connection shares its system calls.
    fn lane_of_rows(&self) -> Lane {
        self.lane()
    }

    /// The lane for values that may be large, apart from that of rows where it can
    /// be: a row's GET would wait behind all of their bytes.
    fn lane_of_lists(&self) -> Lane {
        self.lane()
    }

    /// The lane on which a write makes others forget: where it can be the one on
    /// which this process is told so as well, since a message then comes in one
    /// packet with the reply to what caused it.
    fn lane_of_writes(&self) -> Lane {
        self.lane()
    }

    /// Runs `ops` as one pipeline on one lane, within the deadline of one
    /// cache operation. Dropping the future may leave any of them executed.
    fn send(&self, lane: Lane, ops: Vec<Op>) -> BoxFuture<'_, Result<Replies, Unanswered>>;

    /// Whether an operation on any lane would find a way to the server now.
    fn is_reachable(&self) -> bool {
        true
    }

    /// How many connections are open.
    fn connections(&self) -> usize {
        0
    }
}

/// What is told to every instance, in the order in which it happened.
pub(crate) type OnMessage = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

pub(crate) mod scripts;
pub(crate) mod commands;
pub(crate) mod state;
