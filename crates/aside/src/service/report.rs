//! What people on call ask: is it well, what does it do, why this answer?

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

/// How the cache is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether values come from Redis, and if not, why.
    pub status: HealthStatus,
    /// How long Redis took to answer just now; `None` if it did not.
    pub latency: Option<Duration>,
    /// What the circuit breaker of Redis lets through.
    pub breaker: BreakerState,
    /// Open connections, the one that hears invalidations apart.
    pub connections: usize,
    /// Keys, or whole kinds, that are read from the database until Redis has
    /// taken what is still owed to it.
    pub held_keys: usize,
    /// What the server said it is, such as `7.2.4`; empty if unknown.
    pub server_version: String,
    /// What the server said it uses.
    pub used_memory_bytes: u64,
    /// What the server said it threw out for want of memory.
    pub evicted_keys: u64,
    /// Why Redis is not used, where it is unavailable: a sentence without
    /// secrets, as the log has it.
    pub reason: Option<String>,
}

/// Whether values come from Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// They do.
    Healthy,
    /// Redis is away, slow, or not yet known to be in step.
    Unavailable,
    /// Caching is switched off.
    Disabled,
}

impl HealthStatus {
    /// The word for it in `/health`.
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
    /// One entry for each kind that is cached.
    pub kinds: Vec<KindStats>,
    /// Fills that came too late: something was written meanwhile.
    pub fills_rejected: u64,
    /// Looks at another's lease.
    pub lease_waits: u64,
    /// Reads that went to the database because a write was under way.
    pub quarantine_bypasses: u64,
    /// Quarantines that Redis had lost when their write was over.
    pub releases_lost: u64,
    /// The time in which nothing proved that every message was heard.
    pub unsynced: Duration,
    /// What the circuit breaker of Redis lets through.
    pub breaker: BreakerState,
    /// Errors by label; none of them reached a caller.
    pub errors: BTreeMap<&'static str, u64>,
}

/// The counters of one kind since its process began.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KindStats {
    /// The kind.
    pub kind: &'static str,
    /// Reads answered by this process.
    pub l1_hits: u64,
    /// Reads answered by Redis.
    pub l2_hits: u64,
    /// Reads answered by the cached knowledge that there is nothing.
    pub negative_hits: u64,
    /// Reads answered by this process for want of a better answer; see
    /// [`CacheStrategy::stale_if_error`](crate::CacheStrategy::stale_if_error).
    pub stale_hits: u64,
    /// Reads answered by the database and cached.
    pub misses: u64,
    /// Reads answered by the database that the cache was passed by for.
    pub bypasses: u64,
    /// Keys made to be forgotten.
    pub invalidations: u64,
    /// Answers held in process, valid or not.
    pub l1_entries: u64,
    /// What they weigh.
    pub l1_bytes: u64,
    /// Answers pushed out of this process for want of memory.
    pub l1_evictions: u64,
    /// Hits that the audit compared with the database.
    pub audit_checks: u64,
    /// Hits that the audit drew and let go, because it was at its limits.
    pub audit_dropped: u64,
    /// Values that were still served 100 ms, 1 s and 10 s after the database
    /// had answered otherwise.
    pub audit_mismatches: [u64; 3],
    /// How long Redis keeps a value.
    pub ttl: Duration,
    /// The indexes of the kind.
    pub indexes: &'static [IndexShape],
    /// Whether it has a list of all its rows.
    pub has_list_of_all: bool,
}

impl KindStats {
    pub(crate) fn of(kind: &'static str, known: &dyn AnyKind) -> Self {
        let reads = |outcome| known.statistics().reads_with(outcome);
        let (l1_entries, l1_bytes, l1_evictions) = known.in_process();
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

    /// The part of all reads that the cache answered, stale answers apart, 0.0 to 1.0; `None`
    /// before the first read.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let hits = self.l1_hits + self.l2_hits + self.negative_hits;
        let reads = hits + self.stale_hits + self.misses + self.bypasses;
        // Beyond 2^53 reads the rate is no less right for being rounded.
        #[allow(clippy::cast_precision_loss)]
        (reads > 0).then(|| hits as f64 / reads as f64)
    }
}

/// What is known of one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explained {
    /// The key, as it stands in Redis.
    pub key: String,
    /// The registered kind it belongs to.
    pub kind: Option<&'static str>,
    /// What it holds in Redis; `None` while Redis is away.
    pub state: Option<State>,
    /// How long Redis will keep it.
    pub ttl: Option<Duration>,
    /// Whether a read of it would pass Redis by now, and why.
    pub bypass: Option<&'static str>,
}

impl Explained {
    pub(crate) fn not_ours(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            kind: None,
            state: Some(State::NotOurs),
            ttl: None,
            bypass: None,
        }
    }
}

/// What a key holds in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is a key of no kind that is cached here: nothing is said of it.
    NotOurs,
    /// Nothing.
    Absent,
    /// Something that this protocol did not write.
    Foreign,
    /// A value.
    Value {
        /// The shape it was written in.
        shape: u64,
        /// Which fill wrote it.
        fill: u64,
        /// The row's version, zero where it has none.
        version: u64,
        /// Its size with its header.
        bytes: usize,
    },
    /// Somebody is loading it.
    Lease,
    /// Writes are under way.
    Quarantine {
        /// How many.
        writers: usize,
        /// Whether nobody else has written since it began.
        clean: bool,
    },
}

impl State {
    /// One word for it.
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
        use crate::protocol::state::State as Held;
        let Some(bytes) = bytes else {
            return Self::Absent;
        };
        match Held::of(bytes, true) {
            Held::Absent => Self::Foreign,
            Held::Lease(_) => Self::Lease,
            Held::Quarantine(quarantine) => Self::Quarantine {
                writers: quarantine.records.len(),
                clean: quarantine.clean,
            },
            Held::Value => Header::parse(bytes).map_or(Self::Foreign, |header| Self::Value {
                shape: value::mixed(header.circumstance.shape, key),
                fill: header.fill,
                version: header.version,
                bytes: bytes.len(),
            }),
        }
    }
}

/// What came of making every copy forget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalidated {
    /// How many keys Redis has forgotten.
    pub keys: u64,
    /// Redis could not be reached, and forgets as soon as it can. Until then
    /// this instance reads from the database, and others are not told.
    pub pending: bool,
}

/// How many keys of each kind Redis holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyCounts {
    /// The keys of each kind that is cached here, leases and quarantines
    /// included.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Whether those are all; if not, there are at least so many.
    pub complete: bool,
    /// How long ago they were counted: at most 30 seconds.
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
    /// One word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "l1",
            Self::Shared => "l2",
            Self::Source => "source",
        }
    }
}
