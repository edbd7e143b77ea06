//! Records of a sample of keys: how their values end.
//!
//! The sample has a fixed size (SHARDS, Waldspurger et al., USENIX FAST'15): keys whose
//! hash is below a threshold, which is halved when there are too many. The hash has a
//! fixed seed, so instances sample the same keys. A record outlives its value, because
//! the next value of the key is compared with it. Only reads below this process, loads
//! and messages are heard, so a local hit costs nothing.
//!
//! An invalidation of a whole kind is not heard. If a value is forgotten by one and its
//! key not read until its TTL is over, a later value counts as one that followed its
//! expiry. That can only show more changes than there are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::insight::statistics::KindStatistics;
use crate::protocol::message::Why;
use crate::runtime::clock::{Moment, whole_millis};

/// At most one key of so many is recorded.
const MIN_KEYS_PER_RECORD: u32 = 8;

/// A value of a sampled key, as it arrives from the database or from Redis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) fill: u64,
    /// The hash of its text.
    pub(crate) body: u64,
    /// The time since its load.
    pub(crate) age: Duration,
    /// Its remaining time to live.
    pub(crate) ttl: Duration,
}

/// One key. With the hash of the key it has 64 bytes.
#[derive(Debug)]
struct Record {
    fill: u64,
    body: u64,
    /// The end of the value in milliseconds; zero if it was invalidated.
    ends: u64,
    /// The sum of the times from the end of a value to the next load, in milliseconds.
    gaps: u64,
    expiries: u32,
    kind: u16,
    /// True if the journal, which triggers write, has reported a change.
    is_journalled: bool,
}

/// The records of one service.
#[derive(Debug)]
pub(crate) struct Records {
    max_records: usize,
    /// Keys whose upper 32 bits of the hash are below are sampled.
    threshold: AtomicU32,
    sample: Mutex<Sample>,
}

#[derive(Debug, Default)]
struct Sample {
    records: HashMap<u64, Record>,
    kinds: Vec<&'static str>,
}

/// The ends of the values of one kind, summed over its sampled keys.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ends {
    /// Values that expired and were followed by another one.
    pub(crate) expiries: u64,
    /// The part of these loads that a TTL four times as long saves, 0.0 to 1.0.
    pub(crate) saved_by_four: f64,
    /// True if the journal has reported changes.
    pub(crate) is_journalled: bool,
}

impl Records {
    /// Records at most so many keys; zero for none.
    pub(crate) fn new(max_records: usize) -> Self {
        let threshold = match max_records {
            0 => 0,
            _ => u32::MAX / MIN_KEYS_PER_RECORD,
        };
        Self {
            max_records,
            threshold: AtomicU32::new(threshold),
            sample: Mutex::default(),
        }
    }

    fn is_sampled(&self, hash: u64) -> bool {
        place(hash) < self.threshold.load(Ordering::Relaxed)
    }

    /// Records the arrival of a value. Counts it if it follows an expired one.
    pub(crate) fn arrived(
        &self,
        kind: &'static str,
        hash: u64,
        statistics: &KindStatistics,
        value: impl FnOnce() -> Arrived,
    ) {
        if self.is_sampled(hash) {
            let mut sample = self.sample.lock();
            sample.arrive(kind, hash, statistics, value(), Moment::now());
            if self.max_records < sample.records.len() {
                self.lower(&mut sample);
            }
        }
    }

    /// Halves the sample.
    fn lower(&self, sample: &mut Sample) {
        let threshold = self.threshold.load(Ordering::Relaxed) / 2;
        self.threshold.store(threshold, Ordering::Relaxed);
        sample.records.retain(|hash, _| place(*hash) < threshold);
    }

    /// Records an invalidation.
    pub(crate) fn invalidated(&self, hash: u64, why: Why) {
        if self.is_sampled(hash)
            && let Some(record) = self.sample.lock().records.get_mut(&hash)
        {
            record.ends = 0;
            record.is_journalled |= why == Why::Journal;
        }
    }

    /// Returns how the values of a kind with this TTL end.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn ends(&self, kind: &str, ttl: Duration) -> Ends {
        let sample = self.sample.lock();
        let mut ends = Ends::default();
        let Some(kind) = sample.kinds.iter().position(|known| *known == kind) else {
            return ends;
        };
        let records = sample.records.values();
        let mut saved = 0.0;
        for record in records.filter(|record| usize::from(record.kind) == kind) {
            ends.is_journalled |= record.is_journalled;
            if 0 < record.expiries {
                let expiries = f64::from(record.expiries);
                let gap = record.gaps as f64 / 1000.0 / expiries;
                // Reads are Poisson, so the mean gap is that between two reads, and a key
                // is loaded once in its TTL and a gap.
                let ttl = ttl.as_secs_f64();
                saved += expiries * (1.0 - (ttl + gap) / (4.0 * ttl + gap));
                ends.expiries += u64::from(record.expiries);
            }
        }
        ends.saved_by_four = saved / (ends.expiries.max(1) as f64);
        ends
    }
}

/// Returns the bits of a hash that decide whether its key is sampled.
fn place(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

impl Sample {
    fn arrive(
        &mut self,
        kind: &'static str,
        hash: u64,
        statistics: &KindStatistics,
        value: Arrived,
        now: Moment,
    ) {
        let kind = self.number_of(kind);
        let ends = now.plus(value.ttl).millis();
        let record = self.records.entry(hash).or_insert(Record {
            fill: value.fill,
            body: value.body,
            ends,
            gaps: 0,
            expiries: 0,
            kind,
            is_journalled: false,
        });
        if record.fill == value.fill {
            return;
        }
        let loaded = now.millis().saturating_sub(whole_millis(value.age));
        if 0 < record.ends && record.ends <= loaded {
            statistics.expired(record.body == value.body);
            record.expiries += 1;
            record.gaps += loaded - record.ends;
        }
        (record.fill, record.body, record.ends) = (value.fill, value.body, ends);
    }

    fn number_of(&mut self, kind: &'static str) -> u16 {
        let known = self.kinds.iter().position(|known| *known == kind);
        let number = known.unwrap_or_else(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        });
        u16::try_from(number).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(100);

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(1000 * (1 + seconds))
    }

    fn value(fill: u64, body: u64) -> Arrived {
        Arrived {
            fill,
            body,
            age: Duration::ZERO,
            ttl: TTL,
        }
    }

    /// The values of one key, each with its time, fill and body.
    fn counted(values: &[(u64, u64, u64)]) -> (u64, u64, Sample) {
        let (statistics, mut sample) = (KindStatistics::new(), Sample::default());
        for (seconds, fill, body) in values {
            sample.arrive("hero", 7, &statistics, value(*fill, *body), at(*seconds));
        }
        let [same, changed] = statistics.expiries_compared();
        (same, changed, sample)
    }

    #[test]
    fn a_record_and_its_hash_have_64_bytes_at_most() {
        assert!(size_of::<(u64, Record)>() <= 64);
    }

    #[test]
    fn a_value_after_an_expired_one_is_compared_with_it() {
        let (same, changed, _) = counted(&[(0, 1, 5), (110, 2, 5), (220, 3, 6)]);
        assert_eq!((same, changed), (1, 1));
        // The same value again, and one that was replaced before its end.
        let (same, changed, _) = counted(&[(0, 1, 5), (110, 1, 5), (50, 2, 5)]);
        assert_eq!((same, changed), (0, 0));
    }

    #[test]
    fn an_invalidated_value_has_not_expired() {
        let (records, statistics) = (Records::new(8), KindStatistics::new());
        records.arrived("hero", 7, &statistics, || value(1, 5));
        records.invalidated(7, Why::Journal);
        let mut sample = records.sample.lock();
        let later = Moment::now().plus(2 * TTL);
        sample.arrive("hero", 7, &statistics, value(2, 6), later);
        drop(sample);
        assert_eq!(statistics.expiries_compared(), [0, 0]);
        assert!(records.ends("hero", TTL).is_journalled);
    }

    #[test]
    fn a_longer_ttl_saves_most_loads_of_keys_read_often() {
        let records = Records::new(8);
        let ends = |gap: u64| {
            let (.., sample) = counted(&[(0, 1, 5), (100 + gap, 2, 5)]);
            *records.sample.lock() = sample;
            records.ends("hero", TTL).saved_by_four
        };
        assert!((ends(0) - 0.75).abs() < 1e-9);
        assert!((ends(100) - 0.6).abs() < 1e-9);
        assert!(ends(10_000) < 0.03);
    }

    #[test]
    fn a_full_sample_is_halved_and_keeps_its_keys() {
        let (records, statistics) = (Records::new(1_000), KindStatistics::new());
        let hash = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for number in 0..100_000 {
            records.arrived("hero", hash(number), &statistics, || value(1, 5));
        }
        let sample = records.sample.lock();
        assert!((400..=1_000).contains(&sample.records.len()));
        let sampled = (0..100_000).filter(|number| records.is_sampled(hash(*number)));
        assert_eq!(sampled.count(), sample.records.len());
    }

    #[test]
    fn without_records_nothing_is_sampled() {
        let (records, statistics) = (Records::new(0), KindStatistics::new());
        records.arrived("hero", 0, &statistics, || unreachable!("not sampled"));
        assert!(records.sample.lock().records.is_empty());
    }
}
