//! Statistics of kinds and services.
//!
//! `service/metrics` defines the names under which they are published.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

pub(crate) use super::labels::{
    Guessed, Operation, Outcome, Reason, Refreshed, Unavailable, WritePhase,
};

use crate::answer::{Bypass, Missed};
use crate::entity::IndexShape;
use crate::insight::audit::Delay;
use crate::insight::bursts::Bursts;
use crate::insight::counters::Counters;
use crate::insight::histogram::{Durations, Histogram};
use crate::insight::indexes::IndexCounters;
use crate::insight::samples::is_drawn;
use crate::protocol::OpGroup;
use crate::runtime::clock::Moment;

/// The counters of one kind.
pub(crate) struct KindStatistics {
    reads: Counters<{ 5 * 6 }>,
    pub(crate) read_seconds: [Histogram; 6],
    pub(crate) source_seconds: [Histogram; 5],
    misses: [AtomicU64; Missed::ALL.len()],
    bypasses: [AtomicU64; Bypass::ALL.len()],
    /// The bypasses because Redis is unavailable, by its state.
    unavailable: [AtomicU64; Unavailable::ALL.len()],
    /// Reads that were served by another reader's flight.
    pub(crate) coalesced: AtomicU64,
    /// Values that warm-ups have stored.
    pub(crate) warmed: AtomicU64,
    refreshes: [AtomicU64; Refreshed::ALL.len()],
    invalidations: [AtomicU64; 3],
    /// Hits that were compared with the database.
    pub(crate) audit_checks: AtomicU64,
    /// Hits that were drawn, but not compared because a limit was reached.
    pub(crate) audit_dropped: Counters<1>,
    audit_mismatches: [AtomicU64; 3],
    /// The recent part of questions to Redis that were misses, of [`ALL_MISS`].
    missing: AtomicU32,
    guessed: [AtomicU64; Guessed::ALL.len()],
    /// The ages of sampled values when they were read, in this process and in Redis.
    pub(super) ages: [Histogram; 2],
    pub(crate) indexes: IndexCounters,
    /// Rows and lists that were loaded, also by warm-ups and guesses.
    pub(crate) loads: AtomicU64,
    /// The loads that found no row, or an empty list.
    pub(crate) empty_loads: AtomicU64,
    /// Misses because of the end of a TTL.
    pub(crate) expiries: Bursts,
    /// Values of sampled keys that followed an expired one: the same, or changed.
    pub(super) compared: [AtomicU64; 2],
    /// The most that `aside_time_saved_seconds_total` has been, in milliseconds.
    pub(super) saved_millis: AtomicU64,
}

/// All recent questions to Redis were misses.
const ALL_MISS: u32 = 1 << 16;

/// How many recent questions count.
const RECENT: u32 = 16;

impl fmt::Debug for KindStatistics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KindStatistics")
            .finish_non_exhaustive()
    }
}

impl KindStatistics {
    /// Creates the counters of a kind without lists.
    pub(crate) fn new() -> Self {
        Self::of(&[], false)
    }

    pub(crate) fn of(indexes: &[IndexShape], has_list_of_all: bool) -> Self {
        Self {
            reads: Counters::new(),
            read_seconds: std::array::from_fn(|_| Histogram::coarse()),
            source_seconds: std::array::from_fn(|_| Histogram::coarse()),
            misses: Default::default(),
            bypasses: Default::default(),
            unavailable: Default::default(),
            coalesced: AtomicU64::new(0),
            warmed: AtomicU64::new(0),
            refreshes: Default::default(),
            invalidations: Default::default(),
            audit_checks: AtomicU64::new(0),
            audit_dropped: Counters::new(),
            audit_mismatches: Default::default(),
            missing: AtomicU32::new(0),
            guessed: Default::default(),
            ages: std::array::from_fn(|_| Histogram::of_ages()),
            indexes: IndexCounters::new(indexes, has_list_of_all),
            loads: AtomicU64::new(0),
            empty_loads: AtomicU64::new(0),
            expiries: Bursts::default(),
            compared: Default::default(),
            saved_millis: AtomicU64::new(0),
        }
    }

    /// Counts a read. Returns true if it is drawn for the sample. Local hits are
    /// not timed, because two readings of a precise clock cost more than the hit.
    #[inline]
    pub(crate) fn read(&self, operation: Operation, outcome: Outcome) -> bool {
        is_drawn(self.reads.count(operation as usize * 6 + outcome as usize))
    }

    pub(crate) fn read_took(&self, outcome: Outcome, time: Duration) {
        self.read_seconds[outcome as usize].observe(time);
    }

    pub(crate) fn source_took(&self, operation: Operation, time: Duration) {
        self.source_seconds[operation as usize].observe(time);
    }

    /// Returns the times of reads beyond this process.
    pub(crate) fn read_times(&self) -> BTreeMap<&'static str, Durations> {
        let outcomes = Outcome::ALL.into_iter();
        outcomes
            .filter(|outcome| *outcome != Outcome::L1Hit)
            .map(|outcome| {
                let times = &self.read_seconds[outcome as usize];
                (outcome.as_str(), times.durations())
            })
            .collect()
    }

    /// Returns the times of database reads.
    pub(crate) fn source_times(&self) -> Durations {
        let mut all = Durations::default();
        for times in &self.source_seconds {
            all.add(&times.durations());
        }
        all
    }

    /// Counts a question to Redis, whose answer was a value or not.
    pub(crate) fn looked(&self, is_miss: bool) {
        let before = self.missing.load(Ordering::Relaxed);
        let after = match is_miss {
            true => before + (ALL_MISS - before).div_ceil(RECENT),
            false => before - before.div_ceil(RECENT),
        };
        // Reads that always hit, or always miss, write nothing.
        if after != before {
            self.missing.store(after, Ordering::Relaxed);
        }
    }

    /// Returns true if most recent questions to Redis were misses.
    pub(crate) fn mostly_misses(&self) -> bool {
        self.missing.load(Ordering::Relaxed) > ALL_MISS / 4 * 3
    }

    /// Counts the reason of a miss.
    pub(crate) fn missed(&self, why: Missed) {
        increment(&self.misses[why as usize]);
        if why == Missed::Expired {
            self.expiries.count();
        }
    }

    /// Counts the reason of a bypass; `state` is that of an unavailable Redis.
    pub(crate) fn bypassed(&self, why: Bypass, state: impl FnOnce() -> Unavailable) {
        match why {
            Bypass::RedisUnavailable => increment(&self.unavailable[state() as usize]),
            why => increment(&self.bypasses[why as usize]),
        }
    }

    /// Returns the number of misses of each reason.
    pub(crate) fn misses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self
            .misses
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        Missed::ALL.map(Missed::as_str).into_iter().zip(counts)
    }

    /// Returns the number of bypasses of each reason.
    pub(crate) fn bypasses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let words = Bypass::ALL.into_iter().zip(&self.bypasses);
        let words = words.filter(|(why, _)| *why != Bypass::RedisUnavailable);
        let words = words.map(|(why, count)| (why.as_str(), count));
        let states = Unavailable::ALL.into_iter().zip(&self.unavailable);
        let states = states.map(|(state, count)| (state.as_str(), count));
        words
            .chain(states)
            .map(|(label, count)| (label, count.load(Ordering::Relaxed)))
    }

    /// Counts an early refresh.
    pub(crate) fn refreshed(&self, how: Refreshed) {
        increment(&self.refreshes[how as usize]);
    }

    /// Returns the number of early refreshes of each outcome.
    pub(crate) fn refreshes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self
            .refreshes
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        Refreshed::ALL
            .map(Refreshed::as_str)
            .into_iter()
            .zip(counts)
    }

    /// Counts the fate of a row that was fetched on a guess.
    pub(crate) fn guessed(&self, guessed: Guessed) {
        increment(&self.guessed[guessed as usize]);
    }

    /// Returns how many rows that were fetched on a guess had this fate.
    pub(crate) fn guesses(&self, guessed: Guessed) -> u64 {
        self.guessed[guessed as usize].load(Ordering::Relaxed)
    }

    /// Returns how many values warm-ups have stored.
    pub(crate) fn warmed(&self) -> u64 {
        self.warmed.load(Ordering::Relaxed)
    }

    pub(crate) fn invalidated(&self, reason: Reason, keys: u64) {
        self.invalidations[reason as usize].fetch_add(keys, Ordering::Relaxed);
    }

    /// Counts a value that was still served `delay` after the database had
    /// returned a newer one.
    pub(crate) fn audit_mismatch(&self, delay: Delay) {
        increment(&self.audit_mismatches[delay as usize]);
    }

    pub(crate) fn audit_mismatches(&self, delay: Delay) -> u64 {
        self.audit_mismatches[delay as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn reads(&self, operation: Operation, outcome: Outcome) -> u64 {
        self.reads.total(operation as usize * 6 + outcome as usize)
    }

    pub(crate) fn reads_with(&self, outcome: Outcome) -> u64 {
        Operation::OF_CALLERS
            .iter()
            .map(|operation| self.reads(*operation, outcome))
            .sum()
    }

    /// Returns the number of all reads of callers.
    pub(crate) fn all(&self) -> u64 {
        let outcomes = Outcome::ALL.into_iter();
        outcomes.map(|outcome| self.reads_with(outcome)).sum()
    }

    pub(crate) fn invalidations(&self, reason: Reason) -> u64 {
        self.invalidations[reason as usize].load(Ordering::Relaxed)
    }
}

/// The counters of one service.
pub(crate) struct ServiceStatistics {
    pub(crate) fill_rejected: AtomicU64,
    pub(crate) lease_waits: AtomicU64,
    pub(crate) quarantine_bypass: AtomicU64,
    pub(crate) release_lost: AtomicU64,
    /// The number of journal rows at the last poll.
    pub(crate) journal_rows: AtomicU64,
    pub(crate) invalidation_lag: Histogram,
    /// From sending a PING to applying its PONG.
    pub(crate) barrier_seconds: Histogram,
    pub(crate) redis_seconds: [Histogram; OpGroup::ALL.len()],
    pub(crate) write_seconds: [Histogram; WritePhase::ALL.len()],
    /// Since when the journal has had rows that are not applied, in
    /// milliseconds; zero if it has none.
    journal_behind_since: AtomicU64,
    /// Rows of the journal that were applied.
    pub(crate) journal_applied: AtomicU64,
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

impl fmt::Debug for ServiceStatistics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServiceStatistics")
            .finish_non_exhaustive()
    }
}

impl ServiceStatistics {
    pub(crate) fn new() -> Self {
        Self {
            fill_rejected: AtomicU64::new(0),
            lease_waits: AtomicU64::new(0),
            quarantine_bypass: AtomicU64::new(0),
            release_lost: AtomicU64::new(0),
            journal_rows: AtomicU64::new(0),
            invalidation_lag: Histogram::fine(),
            barrier_seconds: Histogram::fine(),
            redis_seconds: std::array::from_fn(|_| Histogram::fine()),
            write_seconds: std::array::from_fn(|_| Histogram::coarse()),
            journal_behind_since: AtomicU64::new(0),
            journal_applied: AtomicU64::new(0),
            errors: Mutex::default(),
        }
    }

    pub(crate) fn redis_took(&self, group: OpGroup, time: Duration) {
        self.redis_seconds[group as usize].observe(time);
    }

    pub(crate) fn write_took(&self, phase: WritePhase, time: Duration) {
        self.write_seconds[phase as usize].observe(time);
    }

    /// Records a pass over the journal; `all` is true if every row was applied.
    pub(crate) fn journal_passed(&self, all: bool) {
        let since = &self.journal_behind_since;
        if all {
            since.store(0, Ordering::Relaxed);
        } else {
            let now = Moment::now().millis();
            let order = Ordering::Relaxed;
            let _ = since.compare_exchange(0, now, order, order);
        }
    }

    /// Returns how long the journal has had rows that are not applied.
    pub(crate) fn journal_behind(&self) -> Duration {
        match self.journal_behind_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Moment::now().since(Moment::from_millis(since)),
        }
    }

    /// Counts an error under one of a bounded number of labels.
    pub(crate) fn error(&self, label: &'static str) {
        *self.errors.lock().entry(label).or_default() += 1;
    }

    pub(crate) fn errors(&self) -> BTreeMap<&'static str, u64> {
        self.errors.lock().clone()
    }
}

/// Increments a counter outside hot paths.
pub(crate) fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_mostly_misses_after_many_misses_and_until_some_hits() {
        let statistics = KindStatistics::new();
        let until = |is_miss, wanted| {
            let looks = (0..1_000).take_while(|_| {
                statistics.looked(is_miss);
                statistics.mostly_misses() != wanted
            });
            looks.count()
        };
        assert!((15..30).contains(&until(true, true)));
        for _ in 0..1_000 {
            statistics.looked(true);
        }
        assert_eq!(statistics.missing.load(Ordering::Relaxed), ALL_MISS);
        assert!(until(false, false) < 10);
        for _ in 0..1_000 {
            statistics.looked(false);
        }
        assert_eq!(statistics.missing.load(Ordering::Relaxed), 0);
    }
}
