//! The connections that are open, and which of them can be spared.
//!
//! A connection is *busy* from the end of a request's header until its answer
//! is sent, and *waiting* otherwise. Where all seats are taken, a newcomer gets
//! the seat of the connection that has waited longest: connections that never
//! end their header cannot keep others out. Refusing newcomers instead would
//! let them, for as long as they like.

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
    /// Connections that have a seat.
    count: usize,
    /// Those that wait, by the turn in which they began to.
    waiting: BTreeMap<u64, Arc<Notify>>,
    turns: u64,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has sent no whole header; its turn among those.
    Waiting(u64),
    /// A request is under way.
    Busy,
    /// The answer is complete, and not yet sent.
    Answered,
    /// Its seat was given to another connection.
    Without,
}

/// The seat of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    state: Mutex<State>,
    /// Told when the seat is given to another connection.
    spared: Arc<Notify>,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            taken: Arc::default(),
        }
    }

    /// A seat for a connection that just came; `None` where all are busy.
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
    /// A request's header has been read; returns whether the seat is still
    /// the connection's.
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

    /// The answer is complete.
    pub(super) fn has_answered(&self) {
        let mut state = lock(&self.state);
        if *state == State::Busy {
            *state = State::Answered;
        }
    }

    /// All that was written so far is sent.
    pub(super) fn has_sent(&self) {
        let mut state = lock(&self.state);
        if *state == State::Answered {
            *state = State::Waiting(self.seats.lock().wait(&self.spared));
        }
    }

    /// Whether no request is under way.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(*lock(&self.state), State::Waiting(_))
    }

    /// Completes when the seat was given to another connection.
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
        // Its count went to the connection that has the seat now.
        if !given_away {
            taken.count -= 1;
        }
    }
}

/// Nothing that holds these locks can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
