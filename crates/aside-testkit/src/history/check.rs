//! The checks, one key at a time.
//!
//! Every key is an independent register and every state of it has a number. No
//! search is needed, because sorting and one sweep decide each question.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::bounds::Bounds;
use super::event::{Fate, History};
use super::judge::{KeyHistory, judge};
use super::report::Report;
use super::time::Time;

impl History {
    /// Checks every read against every write, within these bounds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use aside_testkit::history::{Bounds, Check, Fate, History, Read, ReadKind, State, Time, Write};
    ///
    /// let at = Time::from_nanos;
    /// let mut history = History::default();
    /// history.writes.push(Write {
    ///     instance: "a".into(),
    ///     key: "hero:1".into(),
    ///     start: at(10),
    ///     fate: Fate::Returned(at(20)),
    ///     state: Some(State::Row(1)),
    /// });
    /// history.reads.push(Read {
    ///     instance: "b".into(),
    ///     key: "hero:1".into(),
    ///     kind: ReadKind::Strict,
    ///     start: at(30),
    ///     end: at(40),
    ///     state: State::Absent(None),
    /// });
    ///
    /// let report = history.check(&Bounds::new(Duration::ZERO));
    /// assert_eq!(report.violations_of(Check::Stale), 1);
    /// assert_eq!(report.strict_staleness, Duration::from_nanos(10));
    /// ```
    pub fn check(&self, bounds: &Bounds) -> Report {
        let mut report = self.summary();
        let mut keys: HashMap<&Arc<str>, KeyHistory<'_>> = HashMap::new();
        for read in &self.reads {
            keys.entry(&read.key).or_default().reads.push(read);
        }
        for write in &self.writes {
            keys.entry(&write.key).or_default().writes.push(write);
        }
        let mut settled_keys: HashSet<&Arc<str>> = HashSet::new();
        for settled in &self.settled {
            let key = keys.entry(&settled.key).or_default();
            key.truth = key.truth.max(settled.truth.version());
            settled_keys.insert(&settled.key);
            if !settled.seen.agrees_with(&settled.truth) {
                report.still_stale.push(settled.clone());
            }
        }
        report.settled_keys = settled_keys.len() as u64;

        let mut keys: Vec<_> = keys.into_iter().collect();
        // Sorted, so that two reports of one history are the same.
        keys.sort_unstable_by_key(|&(name, _)| name);
        for (name, key) in keys {
            judge(name, &key, &self.faults, bounds, &mut report);
        }
        report
    }

    /// Returns the numbers of a report, before anything is checked.
    fn summary(&self) -> Report {
        let mut report = Report {
            reads: self.reads.len() as u64,
            failed_reads: self.failed_reads,
            faults: self.faults.len() as u64,
            ..Report::default()
        };
        let mut first = None::<Time>;
        let mut last = Time::ZERO;
        let mut extend = |start: Time, end: Time| {
            first = Some(first.map_or(start, |first| first.min(start)));
            last = last.max(end);
        };
        for read in &self.reads {
            extend(read.start, read.end);
        }
        for write in &self.writes {
            match write.fate {
                Fate::Returned(end) => {
                    report.writes += 1;
                    extend(write.start, end);
                }
                Fate::Failed(end) => {
                    report.failed_writes += 1;
                    extend(write.start, end);
                }
                Fate::Unknown => {
                    report.unknown_writes += 1;
                    extend(write.start, write.start);
                }
                Fate::Initial => {}
            }
        }
        report.origin = first.unwrap_or_default();
        report.span = last.since(report.origin);
        report
    }
}
