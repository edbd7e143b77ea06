//! The used part of `tokio::sync::watch`, except that waiters wake in the order
//! of waiting.
//!
//! Tokio picks a random order whose seed only an unstable setting can fix. With
//! it a world could not be repeated.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

struct Shared<T> {
    /// The number of changes, and the value.
    state: Mutex<(u64, T)>,
    changed: Notify,
    receivers: AtomicUsize,
}

pub(crate) struct Sender<T>(Arc<Shared<T>>);

pub(crate) struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// The watched value, locked.
pub(crate) struct Ref<'a, T>(MutexGuard<'a, (u64, T)>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.1
    }
}

/// Never returned, because a receiver keeps the value alive.
#[derive(Debug)]
pub(crate) struct Closed;

impl<T> Sender<T> {
    pub(crate) fn new(state: T) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new((0, state)),
            changed: Notify::new(),
            receivers: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut state = self.0.state.lock();
        let modified = modify(&mut state.1);
        if modified {
            state.0 += 1;
            drop(state);
            self.0.changed.notify_waiters();
        }
        modified
    }

    pub(crate) fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|state| {
            modify(state);
            true
        });
    }

    pub(crate) fn send_replace(&self, state: T) -> T {
        let mut replaced = Some(state);
        self.send_modify(|state| {
            replaced = replaced.take().map(|new| std::mem::replace(state, new));
        });
        replaced.expect("it was replaced")
    }

    pub(crate) fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.state.lock())
    }

    pub(crate) fn subscribe(&self) -> Receiver<T> {
        self.0.receivers.fetch_add(1, Ordering::SeqCst);
        Receiver {
            seen: self.0.state.lock().0,
            shared: Arc::clone(&self.0),
        }
    }

    pub(crate) fn receiver_count(&self) -> usize {
        self.0.receivers.load(Ordering::SeqCst)
    }
}

impl<T> Receiver<T> {
    pub(crate) fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.shared.state.lock();
        self.seen = state.0;
        Ref(state)
    }

    pub(crate) async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            let changed = self.shared.changed.notified();
            let now = self.shared.state.lock().0;
            if now != self.seen {
                self.seen = now;
                return Ok(());
            }
            changed.await;
        }
    }

    pub(crate) async fn wait_for(
        &mut self,
        mut is: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, Closed> {
        loop {
            let fits = is(&self.borrow_and_update());
            if fits {
                return Ok(self.borrow_and_update());
            }
            self.changed().await?;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.fetch_sub(1, Ordering::SeqCst);
    }
}
