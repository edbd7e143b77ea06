//! The possible origins of each result.
//!
//! Most results carry their version, and a write of that version had begun. Two
//! kinds of results need more care.
//!
//! *No row* has no version. It is attributed to the deletion that excuses it
//! best. To check its age, that is the newest deletion begun. To compare later
//! results with it, that is the oldest deletion that is not yet too old.
//!
//! *An unknown version* can come from a writer that was lost before it learned
//! its version. Each such writer excuses one version.

use std::collections::HashMap;

use super::bounds::Bounds;
use super::event::{Read, State};
use super::time::Time;
use super::versions::Versions;

/// A result, and the versions it may have.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) read: &'a Read,
    pub(super) oldest: u64,
    pub(super) newest: u64,
}

/// The results for a key, sorted by their possible origins.
#[derive(Debug, Default)]
pub(super) struct Answers<'a> {
    /// Results with a possible origin.
    pub(super) explained: Vec<Answer<'a>>,
    /// Results without one.
    pub(super) unexplained: Vec<&'a Read>,
    /// How many can come from a writer whose version is unknown.
    pub(super) unverified: u64,
}

impl<'a> Answers<'a> {
    pub(super) fn new(reads: &[&'a Read], versions: &Versions<'_>, bounds: &Bounds) -> Self {
        let mut answers = Self::default();
        let mut unheard: HashMap<u64, Vec<&Read>> = HashMap::new();
        for &read in reads {
            match read.state.version() {
                Some(version) if versions.may_be_seen(version, read.end) => {
                    answers.explain(read, version, version);
                }
                Some(version) if is_excusable(version, versions) => {
                    unheard.entry(version).or_default().push(read);
                }
                Some(_) => answers.unexplained.push(read),
                None => answers.absence(read, versions, bounds),
            }
        }
        answers.excuse(unheard, versions.wild());
        answers
    }

    fn explain(&mut self, read: &'a Read, oldest: u64, newest: u64) {
        self.explained.push(Answer {
            read,
            oldest,
            newest,
        });
    }

    fn absence(&mut self, read: &'a Read, versions: &Versions<'_>, bounds: &Bounds) {
        debug_assert_eq!(read.state, State::Absent(None));
        // A lost writer may have deleted the row, at a version that is unknown.
        if versions.is_wild(read.end) {
            self.unverified += 1;
            return;
        }
        let Some(newest) = versions.newest_absence(read.end) else {
            self.unexplained.push(read);
            return;
        };
        let bound = bounds.staleness(read.kind);
        let oldest = versions.oldest_absence(read.start, bound, 0);
        self.explain(read, oldest.unwrap_or(newest).min(newest), newest);
    }

    /// Assigns a lost writer to every unknown version, as long as one is left.
    fn excuse(&mut self, unheard: HashMap<u64, Vec<&'a Read>>, wild: &[Time]) {
        let mut unheard: Vec<(Time, u64, Vec<&Read>)> = unheard
            .into_iter()
            .filter_map(|(version, reads)| {
                let seen = reads.iter().map(|read| read.end).min()?;
                Some((seen, version, reads))
            })
            .collect();
        unheard.sort_unstable_by_key(|&(seen, version, _)| (seen, version));
        let mut excused = 0;
        // Both are in the order of time, so the first remaining writer is an
        // excuse if any writer is.
        for (seen, version, reads) in unheard {
            if wild.get(excused).is_some_and(|&start| start <= seen) {
                excused += 1;
                for read in reads {
                    self.explain(read, version, version);
                }
            } else {
                self.unexplained.extend(reads);
            }
        }
    }
}

/// Returns true if a lost writer can have produced this version.
fn is_excusable(version: u64, versions: &Versions<'_>) -> bool {
    let mut writes = versions.writes_of(version).iter();
    !versions.is_beyond_truth(version) && !writes.any(|(_, write)| write.returned().is_some())
}
