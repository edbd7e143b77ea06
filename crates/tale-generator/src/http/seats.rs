//! The open connections, and which of them can be closed.
//!
//! A connection is *busy* from the end of a request's header until its response
//! is sent, and *waiting* otherwise. If all seats are taken, a new connection
//! gets the seat of the connection that has waited longest. So connections that
//! never complete their header cannot exclude others. If new connections were
//! refused instead, such connections could exclude them forever.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The seats of one listener.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    /// The number of connections with a seat.
    count: usize,
    /// The waiting connections, in the order in which they began to wait.
    waiting: BTreeMap<u64, Arc<Notify>>,
    turns: u64,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No complete header has arrived; its turn among those that wait.
    Waiting(u64),
    /// A request is in progress.
    Busy,
    /// The response is complete, but not yet sent.
    Answered,
    /// Its seat was given to another connection.
    Without,
}

/// The seat of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    state: Mutex<State>,
    /// Notified when the seat goes to another connection.
    spared: Arc<Notify>,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            taken: Arc::default(),
        }
    }

    /// Takes a seat for a new connection. Returns `None` if all are busy.
    pub(super) fn take(&self) -> Option<Arc<Seat>> {
        let mut taken = self.lock();
        if self.most <= taken.count {
            let (_, longest) = taken.waiting.pop_first()?;
            longest.notify_one();
        } else {
            taken.count += 1;
        }
        let spared = Arc::new(Notify::new());
        let turn = taken.wait(&spared);
        Some(Arc::new(Seat {
            seats: self.clone(),
            state: Mutex::new(State::Waiting(turn)),
            spared,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        lock(&self.taken)
    }
}

impl Taken {
    fn wait(&mut self, spared: &Arc<Notify>) -> u64 {
        self.turns += 1;
        self.waiting.insert(self.turns, Arc::clone(spared));
        self.turns
    }
}

impl Seat {
    /// Records that a request's header was read. Returns true if the connection
    /// still has its seat.
    pub(super) fn is_asked(&self) -> bool {
        let mut state = lock(&self.state);
        *state = match *state {
            State::Waiting(turn) if self.seats.lock().waiting.remove(&turn).is_none() => {
                State::Without
            }
            State::Without => State::Without,
            _ => State::Busy,
        };
        *state != State::Without
    }

    /// Records that the response is complete.
    pub(super) fn has_answered(&self) {
        let mut state = lock(&self.state);
        if *state == State::Busy {
            *state = State::Answered;
        }
    }

    /// Records that everything written so far is sent.
    pub(super) fn has_sent(&self) {
        let mut state = lock(&self.state);
        if *state == State::Answered {
            *state = State::Waiting(self.seats.lock().wait(&self.spared));
        }
    }

    /// Returns true if no request is in progress.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(*lock(&self.state), State::Waiting(_))
    }

    /// Completes when the seat has gone to another connection.
    pub(super) async fn given_away(&self) {
        self.spared.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let state = *lock(&self.state);
        let mut taken = self.seats.lock();
        let given_away = match state {
            State::Waiting(turn) => taken.waiting.remove(&turn).is_none(),
            State::Without => true,
            State::Busy | State::Answered => false,
        };
        // Its count now belongs to the connection that took the seat.
        if !given_away {
            taken.count -= 1;
        }
    }
}

/// Code that holds these locks cannot panic midway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
