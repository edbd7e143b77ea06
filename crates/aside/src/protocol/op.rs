//! Operations: the requests of the protocol, as data.

use std::time::Duration;

use super::{Era, Token};
use crate::entity::key::Key;
use crate::protocol::value::{KeyStamp, StampContext};
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};

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
    /// Reads as many bytes as a header has. [`Reply::Value`].
    GetHeader { key: Key },
    /// Requests the stamp of the key. A key without one gets a mark with this one,
    /// and a mark that ends soon is prolonged. [`Reply::Stamped`].
    ///
    /// It is sent once under its stamp. A packet that stalls, and is executed after
    /// its repetition and after a write, would bring back a stamp under which values
    /// were filled before that write.
    Stamp {
        key: Key,
        context: StampContext,
        stamp: KeyStamp,
        ttl: Duration,
    },
    /// Claims the refresh of the value with this fill, if no other reader has.
    /// [`Reply::Claimed`].
    Refresh {
        key: Key,
        /// The part of the fill's id that local entries keep.
        fill: u64,
        token: Token,
    },
    /// Stores a value if the key still holds this token, as its lease or in its
    /// value. [`Reply::Filled`].
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
    /// Announces a report in a field of a hash, with the server's time. If it
    /// `prunes`, it also removes reports of more than an hour ago. [`Reply::Done`].
    Announce {
        key: Key,
        field: String,
        report: String,
        prunes: bool,
    },
    /// Reads all reports of a hash. [`Reply::Announced`].
    Announced { key: Key },
    /// Removes the report of a field. [`Reply::Existed`].
    Withdraw { key: Key, field: String },
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
    /// Exactly to the known one, and only if there is none, or it is older: a
    /// copy of an epoch that was raised elsewhere.
    ToKnown,
}

/// The condition under which HISTORY begins an era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Always,
    IfMissing,
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
            Some(Op::Get { .. } | Op::GetMany { .. } | Op::GetHeader { .. }) => Self::Read,
            Some(Op::Acquire { .. } | Op::Stamp { .. } | Op::Refresh { .. }) => Self::Acquire,
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
                | Self::GetHeader { .. }
                | Self::Stamp { .. }
                | Self::Acquire { .. }
                | Self::Refresh { .. }
                | Self::Fill { .. }
                | Self::Abandon { .. }
        )
    }

    /// Returns the key whose slot determines the node, if there is one.
    pub(crate) fn key(&self) -> Option<&Key> {
        match self {
            Self::Get { key }
            | Self::GetHeader { key }
            | Self::Stamp { key, .. }
            | Self::Acquire { key, .. }
            | Self::Refresh { key, .. }
            | Self::Fill { key, .. }
            | Self::Abandon { key, .. }
            | Self::Quarantine { key, .. }
            | Self::Release { key, .. }
            | Self::Invalidate { key, .. }
            | Self::Bump { key, .. }
            | Self::History { key, .. }
            | Self::Set { key, .. }
            | Self::Delete { key }
            | Self::Exists { key }
            | Self::Ttl { key }
            | Self::Type { key }
            | Self::Announce { key, .. }
            | Self::Announced { key }
            | Self::Withdraw { key, .. } => Some(key),
            Self::GetMany { .. } | Self::Publish { .. } | Self::Scan { .. } => None,
        }
    }

    /// Returns the message that it publishes about its key, if any.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Quarantine { message, .. }
            | Self::Release { message, .. }
            | Self::Invalidate { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Returns the operation that is sent to another node after a redirection;
    /// `None` if it is not sent again. A value stays behind, because it belongs to
    /// the history of the first node.
    pub(crate) fn to_follow(&self) -> Option<Self> {
        #[cfg(test)]
        match () {
            () if without(Rule::ReadsStay) => return Some(self.clone()),
            () if without(Rule::WritesFollow) => return None,
            () => {}
        }
        match self {
            Self::Release {
                key,
                writer,
                message,
                ..
            } => Some(Self::Release {
                key: key.clone(),
                writer: *writer,
                message: message.clone(),
                value: None,
            }),
            Self::Quarantine { .. }
            | Self::Invalidate { .. }
            | Self::Abandon { .. }
            | Self::Bump { .. }
            | Self::History { .. }
            | Self::Set { .. }
            | Self::Delete { .. } => Some(self.clone()),
            _ => None,
        }
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
            | Self::GetHeader { .. }
            | Self::Stamp { .. }
            | Self::Acquire { .. }
            | Self::Fill { .. }
            | Self::Abandon { .. }
            | Self::Quarantine { .. }
            | Self::Release { .. }
            | Self::Invalidate { .. } => true,
            // If refused, its kind stays unreleased; nothing else is affected.
            Self::Bump { .. }
            // If refused, the value lives until its end.
            | Self::Refresh { .. }
            // If refused, its caller retries, or invalidates each kind instead.
            | Self::History { .. }
            | Self::Set { .. }
            | Self::Delete { .. }
            | Self::Exists { .. }
            | Self::Ttl { .. }
            | Self::Type { .. }
            | Self::Announce { .. }
            | Self::Announced { .. }
            | Self::Withdraw { .. }
            | Self::Publish { .. }
            | Self::Scan { .. } => false,
        }
    }
}
