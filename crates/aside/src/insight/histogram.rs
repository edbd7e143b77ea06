//! Histograms of durations.
//!
//! Only the metrics read them. Without the feature `metrics` they are empty.

use std::time::Duration;

#[cfg(feature = "metrics")]
use prometheus_client::metrics::histogram::{self, exponential_buckets};

/// How often something took how long.
pub(crate) struct Histogram {
    #[cfg(feature = "metrics")]
    counts: histogram::Histogram,
}

#[cfg(feature = "metrics")]
impl Histogram {
    /// From 50 microseconds to 13 seconds.
    pub(crate) fn coarse() -> Self {
        let counts = histogram::Histogram::new(exponential_buckets(50e-6, 4.0, 10));
        Self { counts }
    }

    /// From 0.1 milliseconds to five seconds, with edges at a quarter, the half and
    /// all of the default staleness bound.
    pub(crate) fn fine() -> Self {
        let counts = histogram::Histogram::new([
            0.0001, 0.000_25, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.125, 0.25, 0.5,
            1.0, 2.5, 5.0,
        ]);
        Self { counts }
    }

    #[inline]
    pub(crate) fn observe(&self, time: Duration) {
        self.counts.observe(time.as_secs_f64());
    }

    /// Returns the counts for a scrape.
    pub(crate) fn shared(&self) -> histogram::Histogram {
        self.counts.clone()
    }
}

#[cfg(not(feature = "metrics"))]
impl Histogram {
    pub(crate) fn coarse() -> Self {
        Self {}
    }

    pub(crate) fn fine() -> Self {
        Self {}
    }

    #[inline]
    pub(crate) fn observe(&self, _: Duration) {}
}
