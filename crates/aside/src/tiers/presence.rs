//! The presence of this instance in the fleet: its heartbeat, and its replies to
//! probes.
//!
//! A probe is the invalidation of a key that no kind has. The task that reads the
//! socket only queues it, after the generation is raised: so a reply proves that
//! the message was applied.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::entity::namespace::Namespace;

/// How many probes wait for a reply; further ones get none.
const MAX_WAITING: usize = 10;

/// The state of a heartbeat.
#[derive(Debug)]
pub(crate) struct Presence {
    /// The text that the keys of probes begin with.
    probes: String,
    waiting: Mutex<VecDeque<String>>,
    arrived: Notify,
    /// True once the instance has left. Locked while it announces itself, so that no
    /// report follows its withdrawal.
    pub(crate) has_left: tokio::sync::Mutex<bool>,
}

impl Presence {
    pub(crate) fn new(namespace: Namespace<'_>) -> Self {
        Self {
            probes: namespace.own_key("echo:"),
            waiting: Mutex::default(),
            arrived: Notify::new(),
            has_left: tokio::sync::Mutex::new(false),
        }
    }

    /// Returns the key of a probe.
    pub(crate) fn probe_key(&self, nonce: &str) -> String {
        format!("{}{nonce}", self.probes)
    }

    /// Queues the reply to a message about `key`, if it is a probe.
    pub(crate) fn hear(&self, key: &str) {
        let Some(nonce) = key.strip_prefix(&self.probes) else {
            return;
        };
        let mut waiting = self.waiting.lock();
        if waiting.len() < MAX_WAITING && nonce.len() <= 32 {
            waiting.push_back(nonce.to_owned());
            self.arrived.notify_one();
        }
    }

    /// Waits for a probe. Returns its nonce.
    ///
    /// # Cancellation
    /// No probe is lost if the future is dropped.
    pub(crate) async fn next_probe(&self) -> String {
        loop {
            if let Some(nonce) = self.waiting.lock().pop_front() {
                return nonce;
            }
            self.arrived.notified().await;
        }
    }
}
