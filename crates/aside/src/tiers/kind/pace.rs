//! The pace of loads, and how long a reader waits for another reader's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::runtime::clock::whole_millis;

/// The shortest wait for another reader's load.
const MIN_LEASE_WAIT: Duration = Duration::from_millis(100);

/// The duration of the slowest load, in milliseconds, decaying.
#[derive(Default)]
pub(crate) struct LoadPace(AtomicU64);

impl LoadPace {
    /// Records the duration of a load.
    pub(crate) fn took(&self, time: Duration) {
        let millis = whole_millis(time).max(1);
        let slower = |slow: u64| Some(millis.max(slow - slow / 8));
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.0.fetch_update(set, read, slower);
    }

    /// Returns the duration of a slow load; zero before the first.
    pub(super) fn slow(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// Returns how long to wait for another reader's load: twice the duration
    /// of a slow one, and never longer than the lease. Before the first load it
    /// is half of the lease, which is enough for most loads, and the first
    /// readers do not wait a whole lease for a crashed leader.
    pub(crate) fn patience(&self, lease: Duration) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            0 => lease / 2,
            slow => (Duration::from_millis(slow) * 2)
                .max(MIN_LEASE_WAIT)
                .min(lease),
        }
    }
}
