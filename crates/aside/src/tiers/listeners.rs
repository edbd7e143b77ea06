//! What this instance hears others forget, told on to people who watch.
//!
//! Hearing happens on the task that reads the socket, and a PONG waits behind
//! it. So telling is bounded and never waits: who is too slow to listen loses
//! the oldest, and is told how much was lost.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

/// How much a listener may be behind.
const LISTENER_QUEUE: usize = 1024;

/// Something that was made to be forgotten, on whichever instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// One key, as it stands in Redis.
    Key {
        /// The kind that it belongs to, where that is cached here.
        kind: Option<&'static str>,
        /// The key.
        key: String,
    },
    /// A kind as a whole.
    Kind {
        /// The kind, where that is cached here.
        kind: Option<&'static str>,
    },
    /// Words of another version of this library; everything was forgotten.
    Unknown,
    /// So many were heard and not told, because this listener was too slow.
    Missed(u64),
}

/// Hears what is made to be forgotten, from now on; see
/// [`CacheService::listen`](crate::CacheService::listen).
#[derive(Debug)]
pub struct Listener(Receiver<Option<Heard>>);

impl Listener {
    /// What is heard next; `None` when the service is closed.
    ///
    /// # Cancellation
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(heard) => heard,
            Err(RecvError::Lagged(count)) => Some(Heard::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Tells the listeners of one service.
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
        // After subscribing: whoever comes too late for the end of `close`
        // sees that it has begun.
        if self.closed.load(Ordering::Acquire) {
            let _ = self.sender.send(None);
        }
        listener
    }

    /// Tells what `heard` makes, if anybody listens.
    pub(crate) fn tell(&self, heard: impl FnOnce() -> Heard) {
        if self.sender.receiver_count() > 0 {
            let _ = self.sender.send(Some(heard()));
        }
    }

    /// Lets the listeners go, and those to come.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let _ = self.sender.send(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_how_much_it_missed() {
        let teller = Teller::new();
        let mut listener = teller.listener();
        for _ in 0..LISTENER_QUEUE + 3 {
            teller.tell(|| Heard::Unknown);
        }
        assert_eq!(listener.next().await, Some(Heard::Missed(3)));
        assert_eq!(listener.next().await, Some(Heard::Unknown));
    }

    #[tokio::test]
    async fn closing_lets_listeners_go() {
        let teller = Teller::new();
        let mut listener = teller.listener();
        teller.tell(|| Heard::Unknown);
        teller.close();
        assert_eq!(listener.next().await, Some(Heard::Unknown));
        assert_eq!(listener.next().await, None);
        assert_eq!(teller.listener().next().await, None);
    }
}
