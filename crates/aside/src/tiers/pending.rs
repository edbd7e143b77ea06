//! Pending operations, to be sent once Redis is reachable.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::entity::key::Key;
use crate::protocol::Token;

/// A pending operation.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// The release of one key after a write.
    Release {
        key: Key,
        writer: Token,
        /// True if the key is unreleased until then.
        unreleased: bool,
        /// True if its quarantine was acknowledged, and no earlier RELEASE can
        /// have ended it: if the quarantine is gone, it was lost.
        quarantined: bool,
        /// Not earlier, because the transaction may still commit.
        due: Option<Instant>,
    },
    /// A fill that may have been granted but will not be sent.
    Abandon { key: Key, token: Token },
    /// The invalidation of a whole kind, which may be unreleased until then.
    WholeKind {
        kind: String,
        /// Not earlier, because the transaction may still commit.
        due: Option<Instant>,
    },
}

impl Pending {
    /// Returns the time before which it must not be sent, if any.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Self::Release { due, .. } | Self::WholeKind { due, .. } => *due,
            Self::Abandon { .. } => None,
        }
    }
}

/// The pending operations of one Redis. A task sends them; see
/// `recovery/retries.rs`.
pub(crate) struct Backlog {
    queue: mpsc::UnboundedSender<Pending>,
    /// The number of operations that need not wait for their time.
    due_now: AtomicUsize,
}

impl Backlog {
    /// Returns the backlog and the receiving end of its queue.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Pending>) {
        let (queue, arrivals) = mpsc::unbounded_channel();
        let due_now = AtomicUsize::new(0);
        (Self { queue, due_now }, arrivals)
    }

    pub(super) fn add(&self, pending: Pending) {
        if pending.due().is_none() {
            self.due_now.fetch_add(1, Ordering::AcqRel);
        }
        // The receiver is gone only if the service is closed, which also reads
        // nothing from Redis.
        let _ = self.queue.send(pending);
    }

    /// Records that an operation was acknowledged.
    pub(crate) fn acknowledged(&self, pending: &Pending) {
        if pending.due().is_none() {
            self.due_now.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Returns how many operations could be sent now.
    pub(super) fn due_now(&self) -> usize {
        self.due_now.load(Ordering::Acquire)
    }

    /// Returns true if no operation could be sent now.
    pub(super) fn is_empty(&self) -> bool {
        self.due_now() == 0
    }
}
