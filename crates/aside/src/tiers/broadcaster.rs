//! Events for operators: the invalidations that this instance receives.
//!
//! The task that reads the socket applies messages, and a PONG waits behind it.
//! So sending an event is bounded and never waits: a slow subscriber loses the
//! oldest events and learns how many.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::broadcast::Sender;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

/// The number of messages that are kept for later subscribers.
const MAX_RECENT: usize = 100;

/// The maximum number of events that a subscriber may lag behind.
const MAX_EVENTS_BEHIND: usize = 1024;

/// An invalidation by any instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalidation {
    /// One key, as it is in Redis.
    Key {
        /// The kind of the key, if it is cached here.
        kind: Option<&'static str>,
        /// The key.
        key: String,
        /// The instance that sent it; see
        /// [`CacheService::instance`](crate::CacheService::instance).
        by: u64,
        /// Why it did: `write`, `request`, `audit`, `journal` or `probe`; `None` if
        /// the sender did not say, as versions before 0.2 do not.
        why: Option<&'static str>,
        /// When it was received here, in Unix milliseconds.
        at: i64,
    },
    /// A kind as a whole.
    Kind {
        /// The kind, if it is cached here.
        kind: Option<&'static str>,
        /// The instance that sent it.
        by: u64,
        /// Why it did: `write`, `request`, `audit`, `journal` or `probe`; `None` if
        /// the sender did not say, as versions before 0.2 do not.
        why: Option<&'static str>,
        /// When it was received here, in Unix milliseconds.
        at: i64,
    },
    /// A message from another version of this library; the whole local tier was
    /// invalidated.
    Unknown,
    /// The number of events lost because this subscriber was too slow.
    Lagged(u64),
}

/// A stream of invalidations; see
/// [`CacheService::subscribe`](crate::CacheService::subscribe).
///
/// It ends when the service is closed. A subscriber that is more than 1,024
/// events behind gets [`Invalidation::Lagged`] in place of the lost ones.
#[derive(Debug)]
pub struct Invalidations(BroadcastStream<Option<Invalidation>>);

impl Invalidations {
    /// Returns the next invalidation; `None` after the service is closed.
    ///
    /// # Cancellation
    /// No event is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Invalidation> {
        StreamExt::next(self).await
    }
}

impl Stream for Invalidations {
    type Item = Invalidation;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Invalidation>> {
        let next = Pin::new(&mut self.0).poll_next(context);
        next.map(|next| match next? {
            Ok(invalidation) => invalidation,
            Err(BroadcastStreamRecvError::Lagged(count)) => Some(Invalidation::Lagged(count)),
        })
    }
}

/// Sends events to the subscribers of one service.
#[derive(Debug)]
pub(crate) struct Broadcaster {
    sender: Sender<Option<Invalidation>>,
    closed: AtomicBool,
    /// The latest messages, oldest first. As texts, because few are ever read.
    recent: Mutex<VecDeque<(i64, Box<str>)>>,
}

impl Broadcaster {
    pub(crate) fn new() -> Self {
        Self {
            sender: Sender::new(MAX_EVENTS_BEHIND),
            closed: AtomicBool::new(false),
            recent: Mutex::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> Invalidations {
        let invalidations = Invalidations(BroadcastStream::new(self.sender.subscribe()));
        // Checked after subscribing: a subscriber that misses the end marker of
        // `close` sees the flag.
        if self.closed.load(Ordering::Acquire) {
            let _ = self.sender.send(None);
        }
        invalidations
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Keeps a message, in place of the oldest.
    pub(crate) fn remember(&self, at: i64, message: &str) {
        let mut recent = self.recent.lock();
        if recent.len() == MAX_RECENT {
            recent.pop_front();
        }
        recent.push_back((at, message.into()));
    }

    /// Returns the latest messages and their times, oldest first.
    pub(crate) fn recent(&self) -> Vec<(i64, Box<str>)> {
        self.recent.lock().iter().cloned().collect()
    }

    /// Sends the event that `invalidation` creates, if there is a subscriber.
    pub(crate) fn send(&self, invalidation: impl FnOnce() -> Invalidation) {
        if self.sender.receiver_count() > 0 {
            let _ = self.sender.send(Some(invalidation()));
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
        let broadcaster = Broadcaster::new();
        let mut invalidations = broadcaster.subscribe();
        for _ in 0..MAX_EVENTS_BEHIND + 3 {
            broadcaster.send(|| Invalidation::Unknown);
        }
        assert_eq!(invalidations.next().await, Some(Invalidation::Lagged(3)));
        assert_eq!(invalidations.next().await, Some(Invalidation::Unknown));
    }

    #[tokio::test]
    async fn closing_ends_subscriptions() {
        let broadcaster = Broadcaster::new();
        let mut invalidations = broadcaster.subscribe();
        broadcaster.send(|| Invalidation::Unknown);
        broadcaster.close();
        assert_eq!(invalidations.next().await, Some(Invalidation::Unknown));
        assert_eq!(invalidations.next().await, None);
        assert_eq!(broadcaster.subscribe().next().await, None);
    }
}
