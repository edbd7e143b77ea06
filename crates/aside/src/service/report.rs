//! Reports for operators: statistics, counts of keys, and results of
//! invalidations.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::answer::Tier;
use crate::entity::IndexShape;
use crate::insight::audit::Delay;
use crate::insight::histogram::Durations;
use crate::insight::statistics::{Guessed, Outcome, Reason};
use crate::tiers::Tiers;
use crate::tiers::kind::AnyKind;
use crate::trust::breaker::BreakerState;

/// The counters of one service since its process began.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceStats {
    /// One entry for each cached kind.
    pub kinds: Vec<KindStats>,
    /// Fills that were rejected because of a write in between.
    pub fills_rejected: u64,
    /// Waits for another reader's lease.
    pub lease_waits: u64,
    /// Reads that went to the database because a write was in progress.
    pub quarantine_bypasses: u64,
    /// Quarantines that were lost before their release.
    pub releases_lost: u64,
    /// The time without proof that every message was received.
    pub unsynced: Duration,
    /// The state of Redis's circuit breaker.
    pub breaker: BreakerState,
    /// Ends of the trust in Redis, by reason as in `aside_suspicions_total`.
    pub suspicions: BTreeMap<&'static str, u64>,
    /// Errors by label; none was returned to a caller.
    pub errors: BTreeMap<&'static str, u64>,
    /// The time since the last proof that every invalidation was received; `None`
    /// before the first, and without a server.
    pub proof_age: Option<Duration>,
    /// The time from sending an invalidation to receiving it.
    pub invalidation_lag: Durations,
    /// Reads that were sampled for the hot keys.
    pub sampled: u64,
    /// Reads that were drawn as well, but dropped: more than 256 within 100 ms in one
    /// thread.
    pub samples_dropped: u64,
}

/// The counters of one kind since its process began.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KindStats {
    /// The kind.
    pub kind: &'static str,
    /// Reads served from local entries.
    pub l1_hits: u64,
    /// Reads served from Redis.
    pub l2_hits: u64,
    /// Reads served from a cached absence.
    pub negative_hits: u64,
    /// Reads served from stale local entries because the database failed; see
    /// [`CacheStrategy::stale_if_error`](crate::CacheStrategy::stale_if_error).
    pub stale_hits: u64,
    /// Reads served from the database and cached.
    pub misses: u64,
    /// Reads served from the database that bypassed the cache.
    pub bypasses: u64,
    /// Why reads were misses, as in `aside_misses_total`; a best guess.
    pub miss_reasons: BTreeMap<&'static str, u64>,
    /// Why reads bypassed the cache, as in `aside_bypasses_total`.
    pub bypass_reasons: BTreeMap<&'static str, u64>,
    /// Keys invalidated.
    pub invalidations: u64,
    /// Local entries, valid or not.
    pub l1_entries: u64,
    /// The size of the local entries.
    pub l1_bytes: u64,
    /// Local entries evicted for lack of memory.
    pub l1_evictions: u64,
    /// Hits that the audit compared with the database.
    pub audit_checks: u64,
    /// Hits that the audit drew but did not compare, because of its limits.
    pub audit_dropped: u64,
    /// Old values that were still served 100 ms, 1 s and 10 s after the
    /// database had returned another one.
    pub audit_mismatches: [u64; 3],
    /// The TTL of values in Redis.
    pub ttl: Duration,
    /// The indexes of the kind.
    pub indexes: &'static [IndexShape],
    /// True if it has a list of all its rows.
    pub has_list_of_all: bool,
    /// The fates of rows that were fetched before they were read, as in
    /// `aside_prefetch_rows_total`.
    pub prefetched: BTreeMap<&'static str, u64>,
    /// Of a query, how often each dependency had outdated a value that was looked at,
    /// as in `aside_query_spoilt_total`.
    pub spoilt: BTreeMap<String, u64>,
    /// The time of reads beyond this process by outcome, as in `aside_read_seconds`.
    pub read_times: BTreeMap<&'static str, Durations>,
    /// The time of database reads.
    pub source_times: Durations,
}

impl KindStats {
    pub(crate) fn of(tiers: &Tiers, kind: &'static str, known: &dyn AnyKind) -> Self {
        let reads = |outcome| known.statistics().reads_with(outcome);
        let (l1_entries, l1_bytes, l1_evictions) = tiers.local_of(kind, known);
        let invalidations = Reason::ALL.map(|reason| known.statistics().invalidations(reason));
        Self {
            kind,
            l1_hits: reads(Outcome::L1Hit),
            l2_hits: reads(Outcome::L2Hit),
            negative_hits: reads(Outcome::NegativeHit),
            stale_hits: reads(Outcome::StaleHit),
            misses: reads(Outcome::Miss),
            miss_reasons: not_zero(known.statistics().misses()),
            bypass_reasons: not_zero(known.statistics().bypasses()),
            bypasses: reads(Outcome::Bypass),
            invalidations: invalidations.iter().sum(),
            l1_entries,
            l1_bytes,
            l1_evictions,
            audit_checks: known.statistics().audit_checks.load(Ordering::Relaxed),
            audit_dropped: known.statistics().audit_dropped.total(0),
            audit_mismatches: Delay::ALL.map(|delay| known.statistics().audit_mismatches(delay)),
            ttl: known.ttl(),
            indexes: known.indexes(),
            has_list_of_all: known.has_list_of_all(),
            prefetched: {
                let guesses = |fate: Guessed| (fate.as_str(), known.statistics().guesses(fate));
                not_zero(Guessed::ALL.into_iter().map(guesses))
            },
            spoilt: known.spoilt(),
            read_times: known.statistics().read_times(),
            source_times: known.statistics().source_times(),
        }
    }

    /// Returns the share of reads served from the cache, stale hits excluded,
    /// 0.0 to 1.0; `None` before the first read. Reads that asked for the
    /// database do not count, nor do those of warm-ups.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let hits = self.l1_hits + self.l2_hits + self.negative_hits;
        let requested = self.bypass_reasons.get("requested").copied();
        let bypasses = self.bypasses.saturating_sub(requested.unwrap_or(0));
        let reads = hits + self.stale_hits + self.misses + bypasses;
        // Beyond 2^53 reads the rounding does not matter.
        #[allow(clippy::cast_precision_loss)]
        (reads > 0).then(|| hits as f64 / reads as f64)
    }
}

fn not_zero(counts: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<&'static str, u64> {
    counts.filter(|(_, count)| 0 < *count).collect()
}

/// The result of an invalidation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidated {
    /// The number of keys removed from Redis. A copy in memory of an instance
    /// is invalidated even if its key was no longer in Redis.
    pub keys: u64,
    /// True if keys are still being removed, so `keys` is not their final
    /// number. Their values are already invalid.
    pub at_least: bool,
    /// The new epoch of a kind that was invalidated as a whole, in Unix
    /// milliseconds: no value that was loaded before it is served.
    pub epoch: Option<u64>,
    /// True if Redis could not be reached. It will be notified as soon as
    /// possible; until then this instance reads from the database, and other
    /// instances do not know.
    pub pending: bool,
}

/// The number of keys of each kind in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyCounts {
    /// The keys of each kind cached here, including leases and quarantines.
    pub kinds: BTreeMap<&'static str, u64>,
    /// True if the counts are complete; otherwise there are at least as many.
    pub complete: bool,
    /// The age of the counts: at most 30 seconds.
    pub age: Duration,
}

impl ServiceStats {
    pub(crate) fn of(tiers: &Tiers) -> Self {
        use std::sync::atomic::Ordering::Relaxed;
        let statistics = &tiers.statistics;
        let kinds = tiers.kinds();
        let (sampled, samples_dropped) = tiers.sample_counts();
        Self {
            kinds: kinds
                .iter()
                .map(|(kind, known)| KindStats::of(tiers, kind, &**known))
                .collect(),
            fills_rejected: statistics.fill_rejected.load(Relaxed),
            lease_waits: statistics.lease_waits.load(Relaxed),
            quarantine_bypasses: statistics.quarantine_bypass.load(Relaxed),
            releases_lost: statistics.release_lost.load(Relaxed),
            unsynced: tiers.unsynced_total(),
            breaker: tiers.breaker_state(),
            suspicions: not_zero(tiers.suspicions().into_iter()),
            errors: statistics.errors(),
            proof_age: tiers.proof_age(),
            invalidation_lag: statistics.invalidation_lag.durations(),
            sampled,
            samples_dropped,
        }
    }
}

impl Tier {
    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "l1",
            Self::Shared => "l2",
            Self::Source => "source",
        }
    }
}
