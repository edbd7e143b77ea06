//! The loads, ages and ends of values, and the time that they saved.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::answer::Tier;
use crate::insight::histogram::Histogram;
use crate::insight::statistics::{KindStatistics, Outcome, increment};
use crate::runtime::clock::whole_millis;

impl KindStatistics {
    /// Records the age of a sampled value from a tier of the cache.
    pub(crate) fn served_at(&self, tier: Tier, age: Duration) {
        match tier {
            Tier::Local => self.ages[0].observe(age),
            Tier::Shared => self.ages[1].observe(age),
            // It was loaded by this read.
            Tier::Source => {}
        }
    }

    /// Returns the ages of sampled values by tier.
    pub(crate) fn ages(&self) -> impl Iterator<Item = (Tier, &Histogram)> {
        [Tier::Local, Tier::Shared].into_iter().zip(&self.ages)
    }

    /// Counts a row or a list that was loaded.
    pub(crate) fn loaded(&self, is_empty: bool) {
        increment(&self.loads);
        if is_empty {
            increment(&self.empty_loads);
        }
    }

    /// Counts a value of a sampled key that followed an expired one.
    pub(crate) fn expired(&self, is_same: bool) {
        increment(&self.compared[usize::from(!is_same)]);
    }

    /// Returns how many values of sampled keys that followed an expired one were the
    /// same, and how many had changed.
    pub(crate) fn expiries_compared(&self) -> [u64; 2] {
        [0, 1].map(|at| self.compared[at].load(Ordering::Relaxed))
    }

    /// Returns the time that reads did not wait for the database, estimated: the hits at
    /// the mean time of a load, less the time of those in Redis. It never falls.
    pub(crate) fn time_saved(&self) -> Duration {
        let hits = [Outcome::L1Hit, Outcome::L2Hit, Outcome::NegativeHit];
        let hits: u64 = hits.map(|outcome| self.reads_with(outcome)).iter().sum();
        let load = self.source_times().mean().unwrap_or_default();
        let of_redis = self.read_seconds[Outcome::L2Hit as usize].durations().total;
        // Beyond 2^53 hits the rounding does not matter.
        #[allow(clippy::cast_precision_loss)]
        let saved = (load.as_secs_f64() * hits as f64 - of_redis.as_secs_f64()).max(0.0);
        let millis = whole_millis(Duration::try_from_secs_f64(saved).unwrap_or_default());
        let before = self.saved_millis.fetch_max(millis, Ordering::Relaxed);
        Duration::from_millis(before.max(millis))
    }
}
