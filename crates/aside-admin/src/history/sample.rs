//! Differences of counters between two moments.

use std::collections::BTreeMap;
use std::time::Duration;

use aside::report::{Durations, KindStats, ServiceStats};

/// The names of the counters of a kind, as in `GET /cache/stats`.
pub(crate) const COUNTERS: [&str; 7] = [
    "l1_hits",
    "l2_hits",
    "negative_hits",
    "stale_hits",
    "misses",
    "bypasses",
    "invalidations",
];

/// The outcomes whose times are kept. Local hits are not timed.
pub(crate) const TIMED: [&str; 3] = ["l2_hit", "miss", "bypass"];

type Reasons<N> = BTreeMap<&'static str, N>;

/// The counters of a service since its process began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    kinds: BTreeMap<&'static str, OfKind<u64>>,
    times: [Vec<u64>; TIMED.len()],
    lag: Vec<u64>,
    proof_age: Option<Duration>,
}

/// The counters of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfKind<N> {
    pub(crate) counts: [N; COUNTERS.len()],
    pub(crate) misses: Reasons<N>,
    pub(crate) bypasses: Reasons<N>,
}

/// The work of a service in a span of time.
///
/// In `u32`, because a span is short, and there are hundreds of samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The end of the span, in Unix milliseconds.
    pub(crate) at: i64,
    /// Its length.
    pub(crate) millis: u32,
    pub(crate) kinds: BTreeMap<&'static str, OfKind<u32>>,
    /// The buckets of each timed outcome, over all kinds.
    pub(crate) times: [Vec<u32>; TIMED.len()],
    pub(crate) lag: Vec<u32>,
    /// The time since the last proof, at most, in milliseconds.
    pub(crate) proof_age: Option<u32>,
}

impl Totals {
    pub(crate) fn of(stats: &ServiceStats) -> Self {
        let times = TIMED.map(|outcome| {
            let mut all = Vec::new();
            for kind in &stats.kinds {
                add(&mut all, &kind.read_times[outcome].counts);
            }
            all
        });
        let kinds = stats.kinds.iter();
        Self {
            kinds: kinds.map(|kind| (kind.kind, of_kind(kind))).collect(),
            times,
            lag: stats.invalidation_lag.counts.clone(),
            proof_age: stats.proof_age,
        }
    }

    /// Returns the work since `earlier`, in a span of `millis` that ended at `at`.
    pub(crate) fn since(&self, earlier: &Self, at: i64, millis: u32) -> Sample {
        let none = OfKind::default();
        let kinds = self.kinds.iter().map(|(kind, now)| {
            // A kind that was registered meanwhile had counted nothing.
            let before = earlier.kinds.get(kind).unwrap_or(&none);
            (*kind, now.since(before))
        });
        Sample {
            at,
            millis,
            kinds: kinds.collect(),
            times: std::array::from_fn(|which| {
                difference(&self.times[which], &earlier.times[which])
            }),
            lag: difference(&self.lag, &earlier.lag),
            proof_age: self.proof_age.map(|age| narrow(millis_of(age))),
        }
    }
}

fn of_kind(kind: &KindStats) -> OfKind<u64> {
    OfKind {
        counts: [
            kind.l1_hits,
            kind.l2_hits,
            kind.negative_hits,
            kind.stale_hits,
            kind.misses,
            kind.bypasses,
            kind.invalidations,
        ],
        misses: kind.miss_reasons.clone(),
        bypasses: kind.bypass_reasons.clone(),
    }
}

impl OfKind<u64> {
    fn since(&self, earlier: &Self) -> OfKind<u32> {
        let of_reasons = |now: &Reasons<u64>, before: &Reasons<u64>| {
            let new = now.iter().map(|(reason, count)| {
                let before = before.get(reason).copied().unwrap_or(0);
                (*reason, narrow(count.saturating_sub(before)))
            });
            new.filter(|(_, count)| 0 < *count).collect()
        };
        OfKind {
            counts: std::array::from_fn(|which| {
                narrow(self.counts[which].saturating_sub(earlier.counts[which]))
            }),
            misses: of_reasons(&self.misses, &earlier.misses),
            bypasses: of_reasons(&self.bypasses, &earlier.bypasses),
        }
    }
}

impl Sample {
    /// Adds the span that follows this one.
    pub(crate) fn extend(&mut self, next: &Self) {
        self.at = next.at;
        self.millis = self.millis.saturating_add(next.millis);
        for (kind, more) in &next.kinds {
            let known = self.kinds.entry(kind).or_default();
            for (count, more) in known.counts.iter_mut().zip(&more.counts) {
                *count = count.saturating_add(*more);
            }
            add_reasons(&mut known.misses, &more.misses);
            add_reasons(&mut known.bypasses, &more.bypasses);
        }
        for (times, more) in self.times.iter_mut().zip(&next.times) {
            add(times, more);
        }
        add(&mut self.lag, &next.lag);
        self.proof_age = self.proof_age.max(next.proof_age);
    }
}

fn add_reasons(reasons: &mut Reasons<u32>, more: &Reasons<u32>) {
    for (reason, count) in more {
        let known = reasons.entry(reason).or_default();
        *known = known.saturating_add(*count);
    }
}

/// Adds counts one by one.
fn add<N: Copy + Default + std::ops::Add<Output = N>>(counts: &mut Vec<N>, more: &[N]) {
    counts.resize(more.len().max(counts.len()), N::default());
    for (count, more) in counts.iter_mut().zip(more) {
        *count = *count + *more;
    }
}

fn difference(now: &[u64], before: &[u64]) -> Vec<u32> {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    let pairs = now.iter().zip(before);
    pairs
        .map(|(now, before)| narrow(now.saturating_sub(before)))
        .collect()
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn millis_of(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the duration in milliseconds below which this share of the operations
/// stayed; `None` without an operation. Within a bucket they count as evenly spread.
pub(crate) fn quantile(edges: &[f64], counts: &[u32], share: f64) -> Option<f64> {
    let all: f64 = counts.iter().copied().map(f64::from).sum();
    let mut left = all * share;
    let mut lower = 0.0;
    for (edge, count) in edges.iter().zip(counts) {
        let count = f64::from(*count);
        if 0.0 < count && left <= count {
            return Some((lower + (edge - lower) * left / count) * 1e3);
        }
        left -= count;
        lower = *edge;
    }
    (0.0 < all).then_some(lower * 1e3)
}

/// Returns the edges of the times of all kinds, which are the same.
pub(crate) fn edges(stats: &ServiceStats) -> Vec<f64> {
    let times = stats
        .kinds
        .first()
        .and_then(|kind| kind.read_times.get(TIMED[0]));
    times.map_or_else(Vec::new, |times: &Durations| times.edges.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(misses: u64, cold: u64, times: &[u64]) -> Totals {
        let kind = OfKind {
            counts: [0, 0, 0, 0, misses, 0, 0],
            misses: BTreeMap::from([("cold", cold), ("expired", 7)]),
            bypasses: BTreeMap::new(),
        };
        Totals {
            kinds: BTreeMap::from([("hero", kind)]),
            times: [Vec::new(), times.to_vec(), Vec::new()],
            lag: vec![1],
            proof_age: Some(Duration::from_millis(misses)),
        }
    }

    #[test]
    fn a_sample_holds_only_the_work_of_its_span() {
        let (before, after) = (totals(10, 3, &[1, 2]), totals(14, 4, &[1, 5]));
        let sample = after.since(&before, 2_000, 1_000);
        let hero = &sample.kinds["hero"];
        assert_eq!(hero.counts, [0, 0, 0, 0, 4, 0, 0]);
        assert_eq!(hero.misses, BTreeMap::from([("cold", 1)]));
        assert_eq!(sample.times[1], [0, 3]);
        assert_eq!((sample.lag, sample.proof_age), (vec![0], Some(14)));
    }

    #[test]
    fn a_kind_registered_within_the_span_counts_from_zero() {
        let sample = totals(4, 4, &[]).since(&Totals::default(), 0, 1_000);
        assert_eq!(sample.kinds["hero"].counts[4], 4);
        assert_eq!(sample.kinds["hero"].misses["expired"], 7);
    }

    #[test]
    fn joined_spans_add_up_and_keep_the_oldest_proof() {
        let first = totals(9, 1, &[1]).since(&Totals::default(), 1_000, 1_000);
        let second = totals(2, 1, &[0, 3]).since(&Totals::default(), 2_000, 1_000);
        let mut both = first;
        both.extend(&second);
        assert_eq!((both.at, both.millis), (2_000, 2_000));
        assert_eq!(both.kinds["hero"].counts[4], 11);
        assert_eq!(both.kinds["hero"].misses["cold"], 2);
        assert_eq!(both.times[1], [1, 3]);
        assert_eq!(both.proof_age, Some(9));
    }

    #[test]
    fn a_percentile_lies_within_the_bucket_of_its_operation() {
        let edges = [0.001, 0.002, 0.004];
        assert_eq!(quantile(&edges, &[0, 0, 0, 0], 0.99), None);
        assert_eq!(quantile(&edges, &[0, 10, 0, 0], 0.5), Some(1.5));
        assert_eq!(quantile(&edges, &[99, 0, 1, 0], 0.99), Some(1.0));
        assert_eq!(quantile(&edges, &[0, 0, 1, 0], 1.0), Some(4.0));
        assert_eq!(quantile(&edges, &[0, 0, 0, 5], 0.5), Some(4.0), "at least");
    }
}
