//! The hot keys: those that the sampled reads name most often.
//!
//! HeavyKeeper estimates the counts, and the 128 largest have names here. All counts are
//! halved every ten minutes, so a key that was hot an hour ago has a 64th of its weight.
//! Reads and time are halved with them. The sample gives only the parts of the keys; the
//! counters of all reads give their number. So dropped samples do not lower a rate.

use std::time::Duration;

use super::heavy_keeper::HeavyKeeper;
use crate::runtime::clock::Moment;

/// How many keys have names.
const NAMED: usize = 128;

/// The time in which a count loses half of its weight.
const HALF_LIFE: Duration = Duration::from_secs(600);

/// So many halvings leave nothing of a count.
const MAX_HALVINGS: u32 = 32;

/// A read of a key.
pub(crate) struct Heard {
    pub(crate) kind: &'static str,
    pub(crate) key: String,
    /// The same in every instance.
    pub(crate) hash: u64,
    /// The hash by which the local tier has its entry, if it was served from there.
    pub(crate) local: Option<u64>,
    /// When its value was loaded from the database, in Unix milliseconds.
    pub(crate) loaded_at: i64,
}

/// A hot key.
#[derive(Clone, Debug)]
pub(crate) struct Hot {
    pub(crate) kind: &'static str,
    pub(crate) key: String,
    pub(crate) hash: u64,
    pub(crate) local: Option<u64>,
    pub(crate) loaded_at: i64,
    count: u32,
    /// The part of all reads.
    pub(crate) share: f64,
    pub(crate) reads_per_second: f64,
}

/// All reads of a service since its counts began, halved as they were.
#[derive(Clone, Copy)]
struct Window {
    reads: f64,
    time: Duration,
    /// The counted reads at its last change, and the time of that.
    counted: u64,
    until: Moment,
}

/// The counts of one service.
pub(crate) struct Heat {
    keeper: HeavyKeeper,
    named: Vec<Hot>,
    sampled: u64,
    window: Window,
    halved: Moment,
}

impl Window {
    /// Returns it with the reads until `now`.
    fn until(self, counted: u64, now: Moment) -> Self {
        Self {
            reads: self.reads + counted.saturating_sub(self.counted) as f64,
            time: self.time + now.since(self.until),
            counted,
            until: now,
        }
    }

    fn per_second(self) -> f64 {
        self.reads / self.time.as_secs_f64().max(0.001)
    }
}

impl Heat {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            keeper: HeavyKeeper::new(),
            named: Vec::new(),
            sampled: 0,
            window: Window {
                reads: 0.0,
                time: Duration::ZERO,
                counted: 0,
                until: now,
            },
            halved: now,
        }
    }

    /// Halves the counts as often as is due. `counted` returns all reads that the service
    /// has counted.
    pub(crate) fn fade(&mut self, now: Moment, counted: impl FnOnce() -> u64) {
        let due = now.since(self.halved).as_secs() / HALF_LIFE.as_secs();
        if due == 0 {
            return;
        }
        self.halved = now;
        self.window = self.window.until(counted(), now);
        for _ in 0..due.min(u64::from(MAX_HALVINGS)) {
            self.keeper.halve();
            self.sampled /= 2;
            self.window.reads /= 2.0;
            self.window.time /= 2;
            self.named.iter_mut().for_each(|hot| hot.count /= 2);
        }
        self.named.retain(|hot| hot.count > 0);
    }

    /// Counts a sample whose key has no name any more: its entry was evicted.
    pub(crate) fn hear_unnamed(&mut self) {
        self.sampled += 1;
    }

    /// Counts a sample.
    pub(crate) fn hear(&mut self, heard: Heard) {
        self.sampled += 1;
        let known = self.named.iter().position(|hot| hot.hash == heard.hash);
        let coldest = self.coldest().filter(|_| self.named.len() >= NAMED);
        let least = coldest.map_or(u32::MAX, |at| self.named[at].count);
        let count = self.keeper.count(heard.hash, known.is_some(), least);
        if let Some(at) = known {
            let hot = &mut self.named[at];
            hot.count = hot.count.max(count);
            hot.local = heard.local.or(hot.local);
            hot.loaded_at = heard.loaded_at;
            return;
        }
        let hot = Hot {
            kind: heard.kind,
            key: heard.key,
            hash: heard.hash,
            local: heard.local,
            loaded_at: heard.loaded_at,
            count,
            share: 0.0,
            reads_per_second: 0.0,
        };
        match coldest {
            None if count > 0 => self.named.push(hot),
            Some(at) if least < count => self.named[at] = hot,
            _ => {}
        }
    }

    fn coldest(&self) -> Option<usize> {
        (0..self.named.len()).min_by_key(|at| self.named[*at].count)
    }

    /// Returns at most `limit` of the wanted keys, the hottest first, with the rates that
    /// follow from all reads that the service has counted.
    pub(crate) fn hottest(
        &self,
        limit: usize,
        (now, counted): (Moment, u64),
        is_wanted: impl Fn(&Hot) -> bool,
    ) -> Vec<Hot> {
        let per_second = self.window.until(counted, now).per_second();
        let wanted = self.named.iter().filter(|hot| is_wanted(hot));
        let mut hottest: Vec<Hot> = wanted.cloned().collect();
        hottest.sort_by(|one, other| {
            let by_count = other.count.cmp(&one.count);
            by_count.then_with(|| one.key.cmp(&other.key))
        });
        hottest.truncate(limit);
        for hot in &mut hottest {
            hot.share = f64::from(hot.count) / self.sampled.max(1) as f64;
            hot.reads_per_second = hot.share * per_second;
        }
        hottest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::key;

    fn heard(key: &str) -> Heard {
        Heard {
            kind: "hero",
            hash: key::hash(key),
            key: key.to_owned(),
            local: None,
            loaded_at: 0,
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(1_000 * seconds)
    }

    #[test]
    fn rates_follow_from_all_reads_and_the_part_of_the_sample() {
        let mut heat = Heat::new(at(0));
        for number in 0..100 {
            heat.hear(heard(if number % 4 == 0 { "hero:1" } else { "hero:2" }));
        }
        // Most samples were dropped: 100 are left of 64,000 reads in 10 s.
        let hottest = heat.hottest(1, (at(10), 64_000), |_| true);
        assert_eq!(hottest[0].key, "hero:2");
        assert!((hottest[0].share - 0.75).abs() < 1e-9);
        assert!((hottest[0].reads_per_second - 4_800.0).abs() < 1e-6);
    }

    #[test]
    fn the_heat_of_an_hour_ago_fades() {
        let mut heat = Heat::new(at(0));
        (0..6_400).for_each(|_| heat.hear(heard("hero:old")));
        let mut counted = 409_600;
        for minute in 1..=60 {
            heat.fade(at(60 * minute), || counted);
        }
        (0..200).for_each(|_| heat.hear(heard("hero:new")));
        counted += 12_800;
        let hottest = heat.hottest(2, (at(3_600), counted), |_| true);
        assert_eq!(hottest[0].key, "hero:new");
        assert!((hottest[0].share - 200.0 / 300.0).abs() < 0.01);
        assert!((hottest[1].share - 100.0 / 300.0).abs() < 0.01);
        heat.fade(at(30_000), || counted);
        let hottest = heat.hottest(2, (at(30_000), counted), |_| true);
        assert!(hottest.is_empty(), "{hottest:?}");
    }

    #[test]
    fn of_many_keys_the_most_read_have_names() {
        let mut heat = Heat::new(at(0));
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let number = match random.u32(..2) {
                0 => random.u64(..20),
                _ => random.u64(..100_000),
            };
            heat.hear(heard(&format!("hero:{number}")));
        }
        let hottest = heat.hottest(20, (at(1), 1), |_| true);
        let mut numbers: Vec<u64> = hottest
            .iter()
            .map(|hot| hot.key["hero:".len()..].parse().unwrap())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
        assert!(hottest.iter().all(|hot| (0.02..0.03).contains(&hot.share)));
        assert_eq!(heat.named.len(), NAMED);
    }
}
