//! The shared tier, which runs operations, and the results of those it cannot
//! run.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "ops")]
use aside_redis::{Call, WireReply};

use super::{BoxFuture, Op, Refused, Replies};

/// Larger values avoid the connection of rows and the watcher's, because a GET
/// or a PING would wait behind them.
pub(crate) const MAX_VALUE_BYTES_AMONG_ROWS: usize = 64 * 1024;

/// The kind of a pipeline, by which a tier chooses the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Reads of rows: if possible all on one connection, because requests on
    /// one connection share system calls.
    Rows,
    /// Values that may be large: if possible not on the connection of rows,
    /// because a row's GET would wait behind all of their bytes.
    Lists,
    /// Invalidating writes: if possible on the connection that also receives
    /// invalidations, because the message then arrives in one packet with the
    /// reply.
    Writes,
    /// Leases, fills, and calls of operators: spread over all connections.
    Others,
}

impl Traffic {
    /// Returns the traffic of a fill with so many bytes.
    pub(crate) fn of_fill(bytes: usize) -> Self {
        if bytes <= MAX_VALUE_BYTES_AMONG_ROWS {
            Self::Others
        } else {
            Self::Lists
        }
    }

    /// Returns the traffic of a write that leaves values of so many bytes.
    pub(crate) fn of_write(bytes: usize) -> Self {
        if bytes <= MAX_VALUE_BYTES_AMONG_ROWS {
            Self::Writes
        } else {
            Self::Lists
        }
    }
}

/// No reply arrived: the operations may or may not have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("no connection to send it on")]
    NotSent,
    #[error("the connection was lost")]
    Disconnected,
    #[error("no reply within the deadline")]
    TimedOut,
    /// The server is replying, but the reply was incomplete at the deadline.
    #[error("the reply was still arriving at the deadline")]
    Late,
    /// A large value, this one or an earlier one, takes longer than the
    /// deadline to travel. It says nothing about the server.
    #[error("a large value was still in transit at the deadline")]
    Travelling,
}

/// Why one operation has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the server refused it with {0}")]
    Refused(#[from] Refused),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

impl Failure {
    /// Returns why there is no reply. A refusal also leaves none that is usable.
    pub(crate) fn unanswered(self) -> Unanswered {
        match self {
            Self::Refused(_) => Unanswered::Disconnected,
            Self::Unanswered(unanswered) => unanswered,
        }
    }
}

/// A store of values shared between processes: one server, or a part of memory.
pub(crate) trait SharedTier: fmt::Debug + Send + Sync {
    /// Runs `ops` as one pipeline on one connection, within the deadline of one
    /// cache operation. If the future is dropped, any of them may still be
    /// executed.
    fn send(&self, traffic: Traffic, ops: Vec<Op>) -> BoxFuture<'_, Result<Replies, Unanswered>>;

    /// Runs one operation at a node that is taking over the key's slot, after
    /// the redirection `ASK`.
    fn send_asking(&self, op: Op) -> BoxFuture<'_, Result<Replies, Unanswered>> {
        let _ = op;
        Box::pin(async { Err(Unanswered::NotSent) })
    }

    /// Sends commands that are no operation, to learn facts about the server, within
    /// the deadline of one cache operation. Returns `None` without a reply, and of a
    /// store that is no server.
    #[cfg(feature = "ops")]
    fn ask<'a>(&'a self, calls: Vec<Call<'a>>) -> BoxFuture<'a, Option<Vec<WireReply>>> {
        let _ = calls;
        Box::pin(async { None })
    }

    /// Returns true if one call may have several keys. A node of a cluster
    /// refuses keys of several slots.
    fn takes_many_keys(&self) -> bool {
        true
    }

    /// Has the server's state and messages proved soon, because of a doubt.
    fn doubt(&self) {}

    /// Returns true if there is a connection to the server.
    fn is_reachable(&self) -> bool {
        true
    }

    /// Closes all connections for commands. They are opened again.
    fn reconnect(&self) {}

    /// Returns the number of open connections for commands.
    fn connections(&self) -> usize {
        0
    }

    /// Returns how many connections for commands it opens at most.
    fn max_connections(&self) -> usize {
        0
    }
}

/// Receives every message in the order of publication.
pub(crate) type OnMessage = Arc<dyn Fn(&str) + Send + Sync>;
