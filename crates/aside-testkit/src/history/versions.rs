//! The versions of a key, according to its writes.
//!
//! The versions are the order of the writes. Sorted once, they decide questions
//! by bisection that otherwise need a search through all orders of operations.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::event::{Fate, State, Write};
use super::time::Time;

/// The writes of a key, indexed by the reads they allow and the reads they
/// require.
#[derive(Debug)]
pub(super) struct Versions<'a> {
    /// Writes that may have happened, by version.
    possible: Vec<(u64, &'a Write)>,
    /// When a version becomes too old for all readers.
    overtaken: Overtaken<'a>,
    /// The same for the readers of the instance that wrote.
    overtaken_by_own: HashMap<&'a str, Overtaken<'a>>,
    /// Versions at which the row may have been absent, in their order.
    absences: Vec<u64>,
    /// When such versions began, each with the highest so far.
    absences_by_start: Vec<(Time, u64)>,
    /// When writes of unknown version and unknown fate began, in their order.
    wild: Vec<Time>,
    /// True if the state before the first write is known.
    has_initial: bool,
    /// The version in the database at the end.
    truth: Option<u64>,
}

impl<'a> Versions<'a> {
    pub(super) fn new(writes: &[&'a Write], truth: Option<u64>) -> Self {
        let has_initial = writes.iter().any(|write| write.fate == Fate::Initial);
        let mut possible = Vec::new();
        let mut absent = Vec::new();
        let mut wild = Vec::new();
        let mut own: HashMap<&str, Vec<&Write>> = HashMap::new();
        if !has_initial {
            absent.push((Time::ZERO, 0));
        }
        // A version is assigned once. A lost write of a version that another
        // write returned with was therefore rolled back.
        let certain: HashSet<u64> = (writes.iter())
            .filter(|write| write.returned().is_some())
            .filter_map(|write| write.version())
            .collect();
        for &write in writes {
            if matches!(write.fate, Fate::Failed(_)) {
                continue;
            }
            own.entry(&write.instance).or_default().push(write);
            match write.version() {
                None => wild.push(write.start),
                // It would be in the database if it had happened.
                Some(version) if truth.is_some_and(|truth| truth < version) => {}
                Some(version) if write.returned().is_none() && certain.contains(&version) => {}
                Some(version) => {
                    possible.push((version, write));
                    if matches!(write.state, Some(State::Absent(_))) {
                        absent.push((write.start, version));
                    }
                }
            }
        }
        possible.sort_unstable_by_key(|&(version, write)| (version, write.start));
        wild.sort_unstable();
        let mut absences: Vec<u64> = absent.iter().map(|&(_, version)| version).collect();
        absences.sort_unstable();
        absent.sort_unstable();
        let mut highest = 0;
        for (_, version) in &mut absent {
            highest = highest.max(*version);
            *version = highest;
        }
        Self {
            possible,
            overtaken: Overtaken::new(writes),
            overtaken_by_own: own
                .into_iter()
                .map(|(instance, writes)| (instance, Overtaken::new(&writes)))
                .collect(),
            absences,
            absences_by_start: absent,
            wild,
            has_initial,
            truth,
        }
    }

    /// Returns the writes of this version that may have happened, by their
    /// start.
    pub(super) fn writes_of(&self, version: u64) -> &[(u64, &'a Write)] {
        let start = self.possible.partition_point(|&(of, _)| of < version);
        let end = self.possible.partition_point(|&(of, _)| of <= version);
        &self.possible[start..end]
    }

    /// Returns true if this version could be visible at that moment.
    pub(super) fn may_be_seen(&self, version: u64, at: Time) -> bool {
        let first = self.writes_of(version).first();
        match first {
            Some((_, write)) => write.start <= at,
            None => version == 0 && !self.has_initial,
        }
    }

    /// Returns true if this version is higher than the database's at the end.
    pub(super) fn is_beyond_truth(&self, version: u64) -> bool {
        self.truth.is_some_and(|truth| truth < version)
    }

    /// Returns the returned write that overtook `version` first, and when it
    /// returned.
    pub(super) fn overtaken(&self, version: u64) -> Option<(Time, &'a Write)> {
        self.overtaken.by_first(version)
    }

    /// Returns the same among the writes of that instance.
    pub(super) fn overtaken_by_own(
        &self,
        instance: &str,
        version: u64,
    ) -> Option<(Time, &'a Write)> {
        self.overtaken_by_own.get(instance)?.by_first(version)
    }

    /// Returns the highest version at which the row may have been absent at
    /// that moment.
    pub(super) fn newest_absence(&self, at: Time) -> Option<u64> {
        let count = self
            .absences_by_start
            .partition_point(|&(start, _)| start <= at);
        let last = count.checked_sub(1)?;
        Some(self.absences_by_start[last].1)
    }

    /// Returns the lowest version from `least` on at which the row may have
    /// been absent, and that was not overtaken `bound` before `start`.
    pub(super) fn oldest_absence(&self, start: Time, bound: Duration, least: u64) -> Option<u64> {
        let too_old = start.back(bound);
        let stale = |&version: &u64| match self.overtaken(version) {
            Some((end, _)) => end < too_old,
            None => false,
        };
        // The higher the version, the later it was overtaken.
        let index = self
            .absences
            .partition_point(|version| *version < least || stale(version));
        self.absences.get(index).copied()
    }

    /// Returns true if such a write of unknown version had begun at that
    /// moment.
    pub(super) fn is_wild(&self, at: Time) -> bool {
        self.wild.first().is_some_and(|&start| start <= at)
    }

    /// Returns when the writes of unknown version and unknown fate began.
    pub(super) fn wild(&self) -> &[Time] {
        &self.wild
    }
}

/// For every version, the write that made it old first.
#[derive(Debug)]
struct Overtaken<'a> {
    /// Returned writes by version. Each has the write that returned first among
    /// it and all later versions.
    by_version: Vec<(u64, Time, &'a Write)>,
}

impl<'a> Overtaken<'a> {
    fn new(writes: &[&'a Write]) -> Self {
        let mut by_version: Vec<_> = writes
            .iter()
            .filter_map(|write| Some((write.version()?, write.returned()?, *write)))
            .collect();
        by_version.sort_unstable_by_key(|&(version, end, _)| (version, end));
        let mut first: Option<(Time, &Write)> = None;
        for (_, end, write) in by_version.iter_mut().rev() {
            match first {
                Some((first_end, first_write)) if first_end < *end => {
                    *end = first_end;
                    *write = first_write;
                }
                _ => first = Some((*end, *write)),
            }
        }
        Self { by_version }
    }

    fn by_first(&self, version: u64) -> Option<(Time, &'a Write)> {
        let index = self.by_version.partition_point(|&(of, ..)| of <= version);
        let &(_, end, write) = self.by_version.get(index)?;
        Some((end, write))
    }
}
