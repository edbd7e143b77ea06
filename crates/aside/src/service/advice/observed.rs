//! The counts of one kind, as the rules use them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::entity::IndexShape;
use crate::insight::indexes::LIST_OF_ALL;
use crate::insight::records::Ends;
use crate::insight::statistics::{Operation, Outcome, Reason};
use crate::protocol::OpGroup;
use crate::service::report::KindStats;
use crate::tiers::Tiers;
use crate::tiers::kind::{AnyKind, Policy};

/// The least age of a service that gives advice.
pub(super) const MIN_AGE: Duration = Duration::from_secs(3600);

/// The least number of reads of a kind.
pub(super) const MIN_READS: u64 = 1_000;

/// The counts of one kind.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) kind: &'static str,
    /// The name of the row type, without its path.
    pub(super) type_name: &'static str,
    pub(super) age: Duration,
    /// Without those that asked for the database.
    pub(super) reads: u64,
    pub(super) hits: u64,
    pub(super) local_hits: u64,
    /// Reads of rows, and of lists.
    pub(super) by_part: [u64; 2],
    pub(super) misses: u64,
    pub(super) expired: u64,
    pub(super) evicted: u64,
    /// The most misses of expired values in one second.
    pub(super) most_expired: u64,
    pub(super) loads: u64,
    pub(super) empty_loads: u64,
    /// Reads served from a cached absence.
    pub(super) absence_hits: u64,
    /// The mean times of a load and of a GET; zero before the first.
    pub(super) load: Duration,
    pub(super) trip: Duration,
    pub(super) ttl: Duration,
    /// Keys that writes of this process invalidated.
    pub(super) invalidations: u64,
    /// Local hits of lists by index, of all indexes.
    pub(super) local_list_hits: u64,
    pub(super) reads_of_all: u64,
    pub(super) lists: Vec<Lists>,
    /// Values of sampled keys after an expired one: the same, and changed.
    pub(super) compared: [u64; 2],
    pub(super) ends: Ends,
    /// Sampled rows that writes left: read, and unread.
    pub(super) written: (u64, u64),
    pub(super) policy: Option<Policy>,
}

/// The lists of one index, or the list of all rows.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    pub(super) name: &'static str,
    /// Empty for the list of all rows.
    pub(super) fields: &'static [&'static str],
    /// Below this process.
    pub(super) reads: u64,
    /// Of these, those that Redis served.
    pub(super) hits: u64,
    pub(super) invalidations: u64,
    pub(super) is_warmed: bool,
    pub(super) is_unread: bool,
}

impl Observed {
    pub(super) fn of(
        tiers: &Tiers,
        kind: &'static str,
        known: &dyn AnyKind,
        age: Duration,
    ) -> Self {
        let stats = KindStats::of(tiers, kind, known);
        let counters = known.statistics();
        let reason = |name: &str| stats.miss_reasons.get(name).copied().unwrap_or(0);
        let requested = stats.bypass_reasons.get("requested").copied().unwrap_or(0);
        let hits = stats.l1_hits + stats.l2_hits + stats.negative_hits;
        let bypasses = stats.bypasses.saturating_sub(requested);
        let of = |operation| -> u64 {
            let outcomes = Outcome::ALL.into_iter();
            outcomes
                .map(|outcome| counters.reads(operation, outcome))
                .sum()
        };
        let trips = tiers.statistics.redis_seconds[OpGroup::Read as usize].durations();
        Self {
            kind,
            type_name: known.type_name().rsplit("::").next().unwrap_or_default(),
            age,
            reads: hits + stats.stale_hits + stats.misses + bypasses,
            hits,
            local_hits: stats.l1_hits,
            by_part: [
                of(Operation::FindById) + of(Operation::FindMany),
                of(Operation::FindBy) + of(Operation::ListAll),
            ],
            misses: stats.misses,
            expired: reason("expired"),
            evicted: reason("evicted"),
            most_expired: counters.expiries.most(),
            loads: counters.loads.load(Ordering::Relaxed),
            empty_loads: counters.empty_loads.load(Ordering::Relaxed),
            absence_hits: stats.negative_hits,
            load: stats.source_times.mean().unwrap_or_default(),
            trip: trips.mean().unwrap_or_default(),
            ttl: stats.ttl,
            invalidations: counters.invalidations(Reason::Write),
            local_list_hits: counters.reads(Operation::FindBy, Outcome::L1Hit),
            reads_of_all: of(Operation::ListAll),
            lists: lists(known),
            compared: counters.expiries_compared(),
            ends: tiers.records.ends(kind, stats.ttl),
            written: known.written(),
            policy: known.policy(),
        }
    }

    /// Returns the mean number of these events in an hour.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn per_hour(&self, count: u64) -> f64 {
        count as f64 / (self.age.as_secs_f64() / 3600.0)
    }
}

fn lists(known: &dyn AnyKind) -> Vec<Lists> {
    let counters = &known.statistics().indexes;
    let hits = [Outcome::L1Hit, Outcome::L2Hit, Outcome::NegativeHit];
    let fields = |name: &str| -> &'static [&'static str] {
        let mut shapes = known.indexes().iter();
        let shape = shapes.find(|shape: &&IndexShape| shape.segment == name);
        shape.map_or(&[], |shape| shape.fields)
    };
    let lists = counters.names().map(|name| Lists {
        name,
        fields: fields(name),
        reads: counters.all_reads(name),
        hits: hits
            .map(|outcome| counters.reads(name, outcome))
            .iter()
            .sum(),
        invalidations: counters.invalidations(name),
        is_warmed: counters.is_warmed(name),
        is_unread: counters.is_unread(name),
    });
    lists.collect()
}

impl Lists {
    /// Returns true for the list of all rows.
    pub(super) fn is_all(&self) -> bool {
        self.name == LIST_OF_ALL && self.fields.is_empty()
    }
}
