//! A process of the world that listens for connections: a server or a Sentinel.

use std::sync::atomic::{AtomicBool, Ordering};

use aside_redis::resp::Sent;
use bytes::Bytes;

use crate::runtime::simulated::watch;

/// Sends a push to one client.
pub(super) type Push = Box<dyn Fn(&Sent) + Send + Sync>;

/// A process that clients connect to.
pub(super) trait Host: Send + Sync {
    fn machine(&self) -> &Machine;

    /// Runs one command of a connection. Returns the reply. `push` creates a
    /// way to the client for messages.
    fn execute(&self, connection: u64, words: &[Bytes], push: &dyn Fn() -> Push) -> Sent;

    /// Returns true if a message precedes the reply on its publisher's
    /// connection, as before Redis 7.2; otherwise it follows.
    fn tells_ahead(&self) -> bool {
        false
    }

    /// Sends the messages published since the last call.
    fn publish(&self) {}

    fn unsubscribe(&self, _connection: u64) {}
}

/// Whether a process lives, and whether it runs.
pub(super) struct Machine {
    /// False while the process is suspended.
    runs: watch::Sender<bool>,
    /// False while there is no process.
    is_up: AtomicBool,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            runs: watch::Sender::new(true),
            is_up: AtomicBool::new(true),
        }
    }

    /// Waits while the process is suspended.
    pub(super) async fn running(&self) {
        let _ = self.runs.subscribe().wait_for(|runs| *runs).await;
    }

    pub(super) fn stop(&self) {
        self.runs.send_replace(false);
    }

    pub(super) fn go_on(&self) {
        self.runs.send_replace(true);
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    pub(super) fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }

    /// Returns true if the process replies.
    pub(super) fn replies(&self) -> bool {
        self.is_up() && *self.runs.borrow()
    }
}
