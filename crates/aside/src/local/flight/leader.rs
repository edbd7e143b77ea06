//! The reader that loads for a flight.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::{CLOSED, FILLING, Flight, Flights, Ordering, Outcome, State};

/// The right and the duty to end a flight with a result. If dropped without
/// one, the lead passes to a waiting reader.
pub(crate) struct Leader<K: Hash + Eq + Clone, M: Clone + PartialEq, T: Clone> {
    pub(super) flights: Arc<Flights<K, M, T>>,
    pub(super) key: K,
    pub(super) flight: Arc<Flight<M, T>>,
    pub(super) finished: bool,
}

impl<K: Hash + Eq + Clone, M: Clone + PartialEq, T: Clone> Leader<K, M, T> {
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    pub(crate) fn has_followers(&self) -> bool {
        self.flight.state.receiver_count() > 0
    }

    /// Sets the generations under which the flight continues.
    pub(crate) fn set_context(&self, context: M) {
        *self.flight.context.lock() = Some(context);
    }

    /// Counts an observation that is about to be sent.
    pub(crate) fn step(&self) -> u32 {
        self.flight.steps.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Counts the FILL that is about to be sent.
    pub(crate) fn step_fill(&self) -> u32 {
        self.flight.openness.store(FILLING, Ordering::SeqCst);
        self.step()
    }

    /// Counts a load that is about to begin and will fill nothing.
    pub(crate) fn step_bypass(&self) -> u32 {
        let step = self.step();
        self.flight.openness.store(CLOSED, Ordering::SeqCst);
        step
    }

    /// Sends the result to all waiting readers.
    pub(crate) fn finish(mut self, outcome: Outcome<M, T>) {
        self.finished = true;
        // From here on, readers wait for the next flight. A reader that joined
        // this one would retry in a busy loop until this thread removes the
        // flight from the map.
        self.flight.openness.store(CLOSED, Ordering::SeqCst);
        self.flight.state.send_replace(State::Done(outcome));
        self.flights.land(&self.key, &self.flight);
    }
}

impl<K, M, T> Leader<K, M, T>
where
    K: Hash + Eq + Clone + Send + 'static,
    M: Clone + PartialEq + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Sends the result, and starts the next flight after a pause.
    pub(crate) async fn finish_and_pause(mut self, outcome: Outcome<M, T>, pause: Duration) {
        self.flight.openness.store(CLOSED, Ordering::SeqCst);
        self.finished = true;
        self.flight.state.send_replace(State::Done(outcome));
        tokio::time::sleep(pause).await;
        self.flights.land(&self.key, &self.flight);
    }
}

impl<K: Hash + Eq + Clone, M: Clone + PartialEq, T: Clone> Drop for Leader<K, M, T> {
    fn drop(&mut self) {
        if self.finished {
            // Ends a pause early if the task is cancelled; otherwise does
            // nothing.
            self.flights.land(&self.key, &self.flight);
        } else {
            self.flights.give_up(&self.key, &self.flight);
        }
    }
}
