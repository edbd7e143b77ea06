//! The open connections, and which of them can be closed.
//!
//! A connection that waits for its client can be closed: one that has received
//! no whole request, body included, or whose client reads nothing of a
//! response. If all seats are taken, a new connection gets the seat of the one
//! that has waited longest. So clients that never complete a request cannot
//! exclude others. If new connections were refused instead, such clients could
//! exclude them forever.

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
    /// The connections that wait for their clients, in the order in which they
    /// began to wait.
    waiting: BTreeMap<u64, Arc<Notify>>,
    turns: u64,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No complete header has arrived.
    Idle,
    /// The header has arrived, and the body has not.
    Sending,
    /// A whole request is in progress.
    Busy,
    /// The response is complete, but not yet sent.
    Answered,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Its turn among those that wait for their clients, if it waits.
    turn: Option<u64>,
    /// True if the seat has gone to another connection.
    lost: bool,
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
            state: Mutex::new(State {
                phase: Phase::Idle,
                turn: Some(turn),
                lost: false,
            }),
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
    /// Records that a request's header was read, and whether the request is
    /// `whole` with it. Returns true if the connection still has its seat.
    pub(super) fn is_asked(&self, whole: bool) -> bool {
        let mut state = lock(&self.state);
        self.goes_on(&mut state);
        if whole {
            state.phase = Phase::Busy;
        } else {
            state.phase = Phase::Sending;
            self.waits(&mut state);
        }
        !state.lost
    }

    /// Records that all of the body has arrived.
    pub(super) fn has_come_whole(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Sending {
            state.phase = Phase::Busy;
            self.goes_on(&mut state);
        }
    }

    /// Records that the response is complete.
    pub(super) fn has_answered(&self) {
        let mut state = lock(&self.state);
        if state.phase != Phase::Idle {
            state.phase = Phase::Answered;
        }
    }

    /// Records whether the client has stopped reading.
    pub(super) fn is_stuck(&self, stuck: bool) {
        let mut state = lock(&self.state);
        match state.phase {
            Phase::Idle | Phase::Sending => {}
            Phase::Busy | Phase::Answered if stuck => self.waits(&mut state),
            Phase::Busy | Phase::Answered => self.goes_on(&mut state),
        }
    }

    /// Records that everything written so far is sent.
    pub(super) fn has_sent(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Answered {
            state.phase = Phase::Idle;
            self.goes_on(&mut state);
            self.waits(&mut state);
        }
    }

    /// Returns true if no request is in progress.
    pub(super) fn is_waiting(&self) -> bool {
        lock(&self.state).phase == Phase::Idle
    }

    /// Completes when the seat has gone to another connection.
    pub(super) async fn given_away(&self) {
        self.spared.notified().await;
    }

    fn waits(&self, state: &mut State) {
        if state.turn.is_none() && !state.lost {
            state.turn = Some(self.seats.lock().wait(&self.spared));
        }
    }

    fn goes_on(&self, state: &mut State) {
        if let Some(turn) = state.turn.take() {
            state.lost |= self.seats.lock().waiting.remove(&turn).is_none();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        self.goes_on(&mut state);
        // Its count now belongs to the connection that took the seat.
        if !state.lost {
            self.seats.lock().count -= 1;
        }
    }
}

/// Code that holds these locks cannot panic midway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
