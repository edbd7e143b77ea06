//! What Redis must still be told, once it can be reached.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::entity::key::Key;
use crate::protocol::Token;

/// Something Redis must still be told.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// A write's verdict on one key.
    Release {
        key: Key,
        writer: Token,
        /// Whether the key is held until then.
        held: bool,
        /// Not before: the transaction may still commit.
        due: Option<Instant>,
    },
    /// A fill that was perhaps granted and will not come.
    Abandon { key: Key, token: Token },
    /// A kind as a whole must be forgotten, and may be held until then.
    Everything {
        kind: String,
        /// Not before: the transaction may still commit.
        due: Option<Instant>,
    },
}

impl Pending {
    /// When it may be sent, if not at once.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Self::Release { due, .. } | Self::Everything { due, .. } => *due,
            Self::Abandon { .. } => None,
        }
    }
}

/// Everything that one Redis must still be told. A task sends it; see
/// `recovery/retries.rs`.
pub(crate) struct Backlog {
    queue: mpsc::UnboundedSender<Pending>,
    /// How much of it does not wait for its time.
    due_now: AtomicUsize,
}

impl Backlog {
    /// Also returns the end of the queue at which the task takes it out.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Pending>) {
        let (queue, arrivals) = mpsc::unbounded_channel();
        let due_now = AtomicUsize::new(0);
        (Self { queue, due_now }, arrivals)
    }

    pub(super) fn add(&self, pending: Pending) {
        if pending.due().is_none() {
            self.due_now.fetch_add(1, Ordering::AcqRel);
        }
        // Only a service that has been closed no longer takes it, and it
        // reads nothing from Redis either.
        let _ = self.queue.send(pending);
    }

    /// Redis has acknowledged this.
    pub(crate) fn acknowledged(&self, pending: &Pending) {
        if pending.due().is_none() {
            self.due_now.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Returns true if there is nothing that Redis could be told now.
    pub(super) fn is_empty(&self) -> bool {
        self.due_now.load(Ordering::Acquire) == 0
    }
}
