//! The pace of loads, and how long a reader waits for another reader's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::runtime::clock::whole_millis;

/// The shortest wait for another reader's load.
const MIN_LEASE_WAIT: Duration = Duration::from_millis(100);

/// The number of loads before which none is slow, and over which the usual duration is
/// averaged.
const USUAL: u64 = 64;
/// The number of loads over which the present duration is averaged.
const RECENT: u64 = 8;

/// The durations of loads.
#[derive(Default)]
pub(crate) struct LoadPace {
    /// Of the slowest load, in milliseconds, decaying.
    slow: AtomicU64,
    /// Averages in nanoseconds.
    usual: AtomicU64,
    recent: AtomicU64,
    loads: AtomicU64,
}

impl LoadPace {
    /// Records the duration of a load.
    pub(crate) fn took(&self, time: Duration) {
        let millis = whole_millis(time).max(1);
        let slower = |slow: u64| Some(millis.max(slow - slow / 8));
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.slow.fetch_update(set, read, slower);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let loads = self.loads.fetch_add(1, set) + 1;
        for (average, over) in [(&self.usual, USUAL), (&self.recent, RECENT)] {
            let before = average.load(read);
            let over = over.min(loads);
            average.store(before - before / over + nanos / over, set);
        }
    }

    /// Returns true if loads take more than twice as long as usual.
    pub(crate) fn is_slow(&self) -> bool {
        let load = |average: &AtomicU64| average.load(Ordering::Relaxed);
        USUAL < load(&self.loads) && 2 * load(&self.usual) < load(&self.recent)
    }

    /// Returns the duration of a slow load; zero before the first.
    pub(super) fn slow(&self) -> Duration {
        Duration::from_millis(self.slow.load(Ordering::Relaxed))
    }

    /// Returns how long to wait for another reader's load: twice the duration
    /// of a slow one, and never longer than the lease. Before the first load it
    /// is half of the lease, which is enough for most loads, and the first
    /// readers do not wait a whole lease for a crashed leader.
    pub(crate) fn patience(&self, lease: Duration) -> Duration {
        match self.slow.load(Ordering::Relaxed) {
            0 => lease / 2,
            slow => (Duration::from_millis(slow) * 2)
                .max(MIN_LEASE_WAIT)
                .min(lease),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_slow_while_they_take_more_than_twice_the_usual_time() {
        let pace = LoadPace::default();
        for _ in 0..100 {
            pace.took(Duration::from_millis(10));
        }
        assert!(!pace.is_slow());
        for _ in 0..16 {
            pace.took(Duration::from_millis(50));
        }
        assert!(pace.is_slow());
        for _ in 0..32 {
            pace.took(Duration::from_millis(10));
        }
        assert!(!pace.is_slow());
    }
}
