//! The network of a simulation: a declared duration of each round trip to
//! `memory://`, and counts of the traffic.
//!
//! Time is tokio's, so a simulation that pauses it measures declared durations
//! instead of those of the machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::protocol::Op;
use crate::runtime::clock::whole_millis;

#[derive(Default)]
pub(super) struct Wire {
    /// In milliseconds, tokio's granularity. Zero: no network.
    round_trip: AtomicU64,
    trips: AtomicU64,
    keys: AtomicU64,
}

impl Wire {
    pub(super) fn slow_down(&self, round_trip: Duration) {
        let millis = whole_millis(round_trip);
        self.round_trip.store(millis, Ordering::Relaxed);
    }

    /// Counts a pipeline, and waits until it arrives.
    pub(super) async fn there(&self, ops: &[Op]) {
        let keys: usize = ops.iter().map(keys_read).sum();
        self.trips.fetch_add(1, Ordering::Relaxed);
        self.keys.fetch_add(keys as u64, Ordering::Relaxed);
        let round_trip = self.round_trip.load(Ordering::Relaxed);
        wait(round_trip - round_trip / 2).await;
    }

    /// Waits until the replies arrive.
    pub(super) async fn back(&self) {
        wait(self.round_trip.load(Ordering::Relaxed) / 2).await;
    }

    /// Returns the number of pipelines, and of keys whose values they read.
    pub(super) fn traffic(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.trips), load(&self.keys))
    }
}

fn keys_read(op: &Op) -> usize {
    match op {
        Op::Get { .. } => 1,
        Op::GetMany { keys } => keys.len(),
        _ => 0,
    }
}

async fn wait(millis: u64) {
    // Without a network the task goes on without a visit to the timer.
    if millis != 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::key::Key;

    #[tokio::test(start_paused = true)]
    async fn a_round_trip_takes_the_declared_time() {
        let wire = Wire::default();
        let begun = tokio::time::Instant::now();
        let get = |name| Op::Get {
            key: Key::new(name),
        };
        wire.there(&[get("a")]).await;
        wire.back().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        wire.slow_down(Duration::from_millis(3));
        wire.there(&[get("a"), get("b")]).await;
        wire.back().await;
        assert_eq!(begun.elapsed(), Duration::from_millis(3));
        assert_eq!(wire.traffic(), (2, 3));
    }
}
