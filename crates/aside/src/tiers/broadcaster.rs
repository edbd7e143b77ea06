//! Events for operators: the invalidations that this instance receives.
//!
//! The task that reads the socket applies messages, and a PONG waits behind it.
//! So sending an event is bounded and never waits: a slow subscriber loses the
//! oldest events and learns how many.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

/// The maximum number of events that a subscriber may lag behind.
const LISTENER_QUEUE: usize = 1024;

/// An invalidation by any instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// One key, as it is in Redis.
    Key {
        /// The kind of the key, if it is cached here.
        kind: Option<&'static str>,
        /// The key.
        key: String,
    },
    /// A kind as a whole.
    Kind {
        /// The kind, if it is cached here.
        kind: Option<&'static str>,
    },
    /// A message from another version of this library; the whole local tier was
    /// invalidated.
    Unknown,
    /// The number of events lost because this subscriber was too slow.
    Missed(u64),
}

/// Receives invalidations; see
/// [`CacheService::subscribe`](crate::CacheService::subscribe).
#[derive(Debug)]
pub struct Listener(Receiver<Option<Heard>>);

impl Listener {
    /// Returns the next invalidation; `None` after the service is closed.
    ///
    /// # Cancellation
    /// No event is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(heard) => heard,
            Err(RecvError::Lagged(count)) => Some(Heard::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Sends events to the subscribers of one service.
#[derive(Debug)]
pub(crate) struct Teller {
    sender: Sender<Option<Heard>>,
    closed: AtomicBool,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self {
            sender: Sender::new(LISTENER_QUEUE),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn listener(&self) -> Listener {
        let listener = Listener(self.sender.subscribe());
        // Checked after subscribing: a subscriber that misses the end marker of
        // `close` sees the flag.
        if self.closed.load(Ordering::Acquire) {
            let _ = self.sender.send(None);
        }
        listener
    }

    /// Sends the event that `heard` creates, if there is a subscriber.
    pub(crate) fn tell(&self, heard: impl FnOnce() -> Heard) {
        if self.sender.receiver_count() > 0 {
            let _ = self.sender.send(Some(heard()));
        }
    }

    /// Ends all subscriptions, current and future.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let _ = self.sender.send(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_subscriber_learns_how_many_events_it_lost() {
        let teller = Teller::new();
        let mut listener = teller.listener();
        for _ in 0..LISTENER_QUEUE + 3 {
            teller.tell(|| Heard::Unknown);
        }
        assert_eq!(listener.next().await, Some(Heard::Missed(3)));
        assert_eq!(listener.next().await, Some(Heard::Unknown));
    }

    #[tokio::test]
    async fn closing_ends_subscriptions() {
        let teller = Teller::new();
        let mut listener = teller.listener();
        teller.tell(|| Heard::Unknown);
        teller.close();
        assert_eq!(listener.next().await, Some(Heard::Unknown));
        assert_eq!(listener.next().await, None);
        assert_eq!(teller.listener().next().await, None);
    }
}
