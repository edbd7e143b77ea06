//! A reader that joined a flight.

use std::hash::Hash;
use std::sync::Arc;

use super::{Flight, Flights, Place, State, Waited};
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};

/// A reader that waits for a flight.
pub(crate) struct Follower<K: Hash + Eq + Clone, M: Clone + PartialEq, T: Clone> {
    pub(super) flights: Arc<Flights<K, M, T>>,
    pub(super) key: K,
    pub(super) flight: Arc<Flight<M, T>>,
    /// Dropped with the follower, under the lock.
    pub(super) place: Option<Place<M, T>>,
    pub(super) joined_at: u32,
    pub(super) context: M,
    pub(super) lenient: bool,
}

impl<K: Hash + Eq + Clone, M: Clone + PartialEq, T: Clone> Follower<K, M, T> {
    /// Waits for the end of the flight.
    pub(crate) async fn wait(mut self) -> Waited<K, M, T> {
        while let Some(place) = &mut self.place {
            let outcome = match &*place.borrow_and_update() {
                State::Done(outcome) => Some(outcome.clone()),
                State::Waiting | State::Ready | State::Led => None,
            };
            if let Some(outcome) = outcome {
                let after_asking = self.joined_at < outcome.step;
                let as_in_process =
                    self.lenient && outcome.shared_under.as_ref() == Some(&self.context);
                #[cfg(test)]
                let as_in_process = as_in_process || simulated::without(Rule::JoinInTime);
                return if after_asking || as_in_process {
                    Waited::Answer(outcome.value)
                } else {
                    Waited::Again
                };
            }
            if self.flight.take_lead() {
                return Waited::Lead(self.flights.leader(&self.key, Arc::clone(&self.flight)));
            }
            if place.changed().await.is_err() {
                break;
            }
        }
        Waited::Again
    }
}

impl<K: Hash + Eq + Clone, M: Clone + PartialEq, T: Clone> Drop for Follower<K, M, T> {
    fn drop(&mut self) {
        if !self.flight.is_over() {
            self.flights
                .leave(&self.key, &self.flight, self.place.take());
        }
    }
}
