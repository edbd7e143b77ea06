//! Reports for operators: health, statistics, and the state of a key.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::answer::Tier;
use crate::entity::IndexShape;
use crate::entity::key::Key;
use crate::insight::audit::Delay;
use crate::insight::statistics::{Outcome, Reason};
use crate::protocol::value::{self, Header};
use crate::tiers::Tiers;
use crate::tiers::kind::AnyKind;
use crate::trust::breaker::BreakerState;

/// The state of the cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether Redis is used; `reason` says why not.
    pub status: HealthStatus,
    /// The time of a reply just now; `None` if Redis did not reply.
    pub latency: Option<Duration>,
    /// The state of Redis's circuit breaker.
    pub breaker: BreakerState,
    /// Open connections, without the one that receives invalidations.
    pub connections: usize,
    /// Keys, or whole kinds, that are read from the database until Redis
    /// acknowledges pending operations.
    pub unreleased_keys: usize,
    /// The server's version, such as `7.2.4`; empty if unknown.
    pub server_version: String,
    /// The memory use that the server reports.
    pub used_memory_bytes: u64,
    /// The number of evicted keys that the server reports.
    pub evicted_keys: u64,
    /// The reason why Redis is bypassed, if it is unavailable: a sentence
    /// without secrets, as in the log.
    pub reason: Option<String>,
}

/// Whether Redis is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// Redis is used.
    Healthy,
    /// Redis is unreachable or slow, or this process does not trust its
    /// connection yet.
    Unavailable,
    /// The cache is disabled.
    Disabled,
}

impl HealthStatus {
    /// Returns its name in `/health`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unavailable => "unavailable",
            Self::Disabled => "disabled",
        }
    }
}

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
    /// Errors by label; none was returned to a caller.
    pub errors: BTreeMap<&'static str, u64>,
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
}

impl KindStats {
    pub(crate) fn of(kind: &'static str, known: &dyn AnyKind) -> Self {
        let reads = |outcome| known.statistics().reads_with(outcome);
        let (l1_entries, l1_bytes, l1_evictions) = known.local();
        let invalidations = Reason::ALL.map(|reason| known.statistics().invalidations(reason));
        Self {
            kind,
            l1_hits: reads(Outcome::L1Hit),
            l2_hits: reads(Outcome::L2Hit),
            negative_hits: reads(Outcome::NegativeHit),
            stale_hits: reads(Outcome::StaleHit),
            misses: reads(Outcome::Miss),
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
        }
    }

    /// Returns the share of reads served from the cache, stale hits excluded,
    /// 0.0 to 1.0; `None` before the first read.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let hits = self.l1_hits + self.l2_hits + self.negative_hits;
        let reads = hits + self.stale_hits + self.misses + self.bypasses;
        // Beyond 2^53 reads the rounding does not matter.
        #[allow(clippy::cast_precision_loss)]
        (reads > 0).then(|| hits as f64 / reads as f64)
    }
}

/// The state of one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The key as it is in Redis.
    pub key: String,
    /// The registered kind of the key.
    pub kind: Option<&'static str>,
    /// Its state in Redis; `None` while Redis is unavailable.
    pub state: Option<KeyState>,
    /// Its time to live in Redis.
    pub ttl: Option<Duration>,
    /// The reason why a read of it would bypass Redis now, if so.
    pub bypass: Option<&'static str>,
}

impl Explanation {
    pub(crate) fn not_ours(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            kind: None,
            state: Some(KeyState::NotOurs),
            ttl: None,
            bypass: None,
        }
    }
}

/// The state of a key in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyState {
    /// A key of a kind that is not cached here; its state is not reported.
    NotOurs,
    /// No such key.
    Absent,
    /// Bytes that this protocol did not write.
    Foreign,
    /// A value.
    Value {
        /// The shape of its row.
        shape: u64,
        /// The id of its fill.
        fill: u64,
        /// The row's version, zero without one.
        version: u64,
        /// Its size, header included.
        bytes: usize,
    },
    /// A reader is loading it.
    Lease,
    /// Writes are in progress.
    Quarantine {
        /// The number of writers.
        writers: usize,
        /// True if there has been only one writer since it began.
        clean: bool,
    },
}

impl KeyState {
    /// Returns its name.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::Absent => "absent",
            Self::Foreign => "foreign",
            Self::Value { .. } => "value",
            Self::Lease => "lease",
            Self::Quarantine { .. } => "quarantine",
        }
    }

    pub(crate) fn of(key: &Key, bytes: Option<&[u8]>) -> Self {
        use crate::protocol::state::State;
        let Some(bytes) = bytes else {
            return Self::Absent;
        };
        match State::of(bytes, true) {
            State::Absent => Self::Foreign,
            State::Lease(_) => Self::Lease,
            State::Quarantine(quarantine) => Self::Quarantine {
                writers: quarantine.records.len(),
                clean: quarantine.clean,
            },
            State::Value => Header::parse(bytes).map_or(Self::Foreign, |header| Self::Value {
                shape: value::mixed(header.fill_context.shape, key),
                fill: header.fill,
                version: header.version,
                bytes: bytes.len(),
            }),
        }
    }
}

/// The result of an invalidation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidated {
    /// The number of keys removed from Redis.
    pub keys: u64,
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
        Self {
            kinds: kinds
                .iter()
                .map(|(kind, known)| KindStats::of(kind, &**known))
                .collect(),
            fills_rejected: statistics.fill_rejected.load(Relaxed),
            lease_waits: statistics.lease_waits.load(Relaxed),
            quarantine_bypasses: statistics.quarantine_bypass.load(Relaxed),
            releases_lost: statistics.release_lost.load(Relaxed),
            unsynced: tiers.unsynced_total(),
            breaker: tiers.breaker_state(),
            errors: statistics.errors(),
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
