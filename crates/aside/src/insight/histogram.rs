//! Histograms of durations.
//!
//! Buckets double where percentiles are shown, so such a percentile is less than twice
//! the true one. The metrics publish every second edge, which halves their series.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// From 25 microseconds to 13 seconds, doubling.
const COARSE_EDGES: usize = 20;

/// From 0.1 milliseconds to five seconds, with edges at a quarter, the half and all of
/// the default staleness bound.
const FINE_EDGES: [f64; 15] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.125, 0.25, 0.5, 1.0, 2.5,
    5.0,
];

/// From a tenth of a second to a week.
const AGE_EDGES: [f64; 13] = [
    0.1, 0.5, 2.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 604_800.0,
];

const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// How often something took how long.
pub(crate) struct Histogram {
    /// In seconds, ascending.
    edges: Vec<f64>,
    /// One more than there are edges.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
    /// The unit of the sum. Days in nanoseconds would exceed 64 bits within hours.
    unit: Duration,
    /// The metrics publish every edge, or every second one from the second on.
    published: usize,
}

impl Histogram {
    pub(crate) fn coarse() -> Self {
        let mut edges = vec![25e-6];
        edges.extend((1..COARSE_EDGES).scan(25e-6, |edge, _| {
            *edge *= 2.0;
            Some(*edge)
        }));
        Self::with(edges, 2)
    }

    pub(crate) fn fine() -> Self {
        Self::with(FINE_EDGES.into(), 1)
    }

    pub(crate) fn of_ages() -> Self {
        Self {
            unit: Duration::from_millis(1),
            ..Self::with(AGE_EDGES.into(), 1)
        }
    }

    fn with(edges: Vec<f64>, published: usize) -> Self {
        let counts = (0..=edges.len()).map(|_| AtomicU64::new(0)).collect();
        Self {
            edges,
            counts,
            sum: AtomicU64::new(0),
            unit: Duration::from_nanos(1),
            published,
        }
    }

    #[inline]
    pub(crate) fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = self.edges.partition_point(|edge| *edge < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let units = time.as_nanos() / self.unit.as_nanos();
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        self.sum.fetch_add(units, Ordering::Relaxed);
    }

    /// Returns the counts so far.
    pub(crate) fn durations(&self) -> Durations {
        let counts = self.counts.iter();
        Durations {
            edges: self.edges.clone(),
            counts: counts.map(|count| count.load(Ordering::Relaxed)).collect(),
            total: self.total(),
        }
    }

    fn total(&self) -> Duration {
        let units = self.sum.load(Ordering::Relaxed);
        let per_second = NANOS_PER_SECOND / self.unit.subsec_nanos();
        let (seconds, rest) = (units / u64::from(per_second), units % u64::from(per_second));
        Duration::from_secs(seconds) + self.unit * u32::try_from(rest).unwrap_or(0)
    }

    /// Returns the buckets that the metrics publish, with their upper edges.
    pub(crate) fn published(&self) -> (Durations, Vec<(f64, u64)>) {
        let all = self.durations();
        let edges = all.edges.chunks(self.published);
        let edges = edges.filter_map(<[f64]>::last).chain([&f64::MAX]);
        let counts = all.counts.chunks(self.published);
        let buckets = edges.zip(counts.map(|counts| counts.iter().sum()));
        let buckets = buckets.map(|(edge, count)| (*edge, count)).collect();
        (all, buckets)
    }
}

/// How many operations took how long, since the process began.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Durations {
    /// The upper edges of the buckets in seconds, ascending.
    pub edges: Vec<f64>,
    /// The number of operations in each bucket, and last that of all longer ones.
    pub counts: Vec<u64>,
    /// The sum of all durations.
    pub total: Duration,
}

impl Durations {
    /// Returns the number of operations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the average duration; `None` without an operation.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        // Beyond 2^53 operations the rounding does not matter.
        #[allow(clippy::cast_precision_loss)]
        let count = self.count() as f64;
        (count > 0.0).then(|| self.total.div_f64(count))
    }

    /// Adds those of another histogram with the same edges.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        self.total += other.total;
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_publish_every_second_edge_and_lose_no_count() {
        let times = Histogram::coarse();
        for micros in [10, 30, 60, 150, 15_000_000] {
            times.observe(Duration::from_micros(micros));
        }
        let (all, published) = times.published();
        assert_eq!(all.count(), 5);
        assert_eq!(all.counts[..4], [1, 1, 1, 1]);
        assert_eq!(published[0], (50e-6, 2));
        assert_eq!(published[1], (200e-6, 2));
        assert_eq!(published.last(), Some(&(f64::MAX, 1)));
        assert_eq!(published.len(), 11);
        assert_eq!(all.total, Duration::from_micros(15_000_250));
    }

    #[test]
    fn ages_of_a_week_do_not_exceed_the_sum() {
        let (ages, week) = (Histogram::of_ages(), Duration::from_secs(604_800));
        ages.observe(week + Duration::from_millis(1));
        ages.sum
            .fetch_add(10_000_000 * 604_800_000, Ordering::Relaxed);
        let total = week * 10_000_001 + Duration::from_millis(1);
        assert_eq!(ages.durations().total, total);
        assert_eq!(ages.durations().counts[13], 1);
    }

    #[test]
    fn a_duration_at_an_edge_is_in_the_bucket_below_it() {
        let times = Histogram::fine();
        times.observe(Duration::from_millis(500));
        times.observe(Duration::from_millis(501));
        let (_, published) = times.published();
        assert_eq!(published[11], (0.5, 1));
        assert_eq!(published[12], (1.0, 1));
        assert_eq!(
            times.durations().mean(),
            Some(Duration::from_micros(500_500))
        );
        assert_eq!(Histogram::fine().durations().mean(), None);
    }
}
