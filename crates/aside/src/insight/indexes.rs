//! Reads and invalidations of lists by index.
//!
//! Local hits are not counted here: the name of an index is a part of the key, and to
//! write it would cost more than the hit. A local entry comes from a read below this
//! process, so an index without such reads has no local hits either. The exceptions
//! are lists that a warm-up filled, which are counted apart.

use std::sync::atomic::{AtomicU64, Ordering};

use super::labels::Outcome;
use crate::entity::IndexShape;

/// The name of the list of all rows, beside those of the indexes. No index has it.
pub(crate) const LIST_OF_ALL: &str = "all";

/// Fewer invalidations of an unread index are no evidence that it costs anything.
const MIN_INVALIDATIONS: u64 = 100;

/// The counters of one index.
#[derive(Default)]
struct Counts {
    reads: [AtomicU64; Outcome::ALL.len()],
    warmed: AtomicU64,
    invalidations: AtomicU64,
}

/// The counters of the indexes of a kind, and of its list of all rows.
#[derive(Default)]
pub(crate) struct IndexCounters(Vec<(&'static str, Counts)>);

impl IndexCounters {
    pub(crate) fn new(indexes: &[IndexShape], has_list_of_all: bool) -> Self {
        let names = indexes.iter().map(|index| index.segment);
        let names = names.chain(has_list_of_all.then_some(LIST_OF_ALL));
        Self(names.map(|name| (name, Counts::default())).collect())
    }

    fn of(&self, index: &str) -> Option<&Counts> {
        let mut all = self.0.iter();
        all.find_map(|(name, counts)| (*name == index).then_some(counts))
    }

    /// Counts a read below this process.
    pub(crate) fn read(&self, index: &str, outcome: Outcome) {
        if let Some(counts) = self.of(index) {
            counts.reads[outcome as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a read of a warm-up.
    pub(crate) fn warmed(&self, index: &str) {
        if let Some(counts) = self.of(index) {
            counts.warmed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a list that a write invalidated, by its key after the kind and a colon.
    /// A key of a row is not counted.
    pub(crate) fn invalidated(&self, key: &str) {
        let (name, values) = match key.split_once(':') {
            Some((name, _)) => (name, true),
            None => (key, false),
        };
        // An id may be spelled as an index, but has no values after it.
        if values == (name != LIST_OF_ALL)
            && let Some(counts) = self.of(name)
        {
            counts.invalidations.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the names of the indexes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// Returns the reads of an index below this process with this outcome.
    pub(crate) fn reads(&self, index: &str, outcome: Outcome) -> u64 {
        let counts = self.of(index);
        counts.map_or(0, |counts| {
            counts.reads[outcome as usize].load(Ordering::Relaxed)
        })
    }

    /// Returns all reads of an index below this process.
    pub(crate) fn all_reads(&self, index: &str) -> u64 {
        let outcomes = Outcome::ALL.into_iter();
        outcomes.map(|outcome| self.reads(index, outcome)).sum()
    }

    /// Returns true if a warm-up has filled lists of an index.
    pub(crate) fn is_warmed(&self, index: &str) -> bool {
        let counts = self.of(index);
        counts.is_some_and(|counts| 0 < counts.warmed.load(Ordering::Relaxed))
    }

    /// Returns true if an index is never read, although writes invalidate its lists.
    pub(crate) fn is_unread(&self, index: &str) -> bool {
        self.all_reads(index) == 0
            && !self.is_warmed(index)
            && MIN_INVALIDATIONS <= self.invalidations(index)
    }

    /// Returns how many lists of an index writes have invalidated.
    pub(crate) fn invalidations(&self, index: &str) -> u64 {
        let counts = self.of(index);
        counts.map_or(0, |counts| counts.invalidations.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_rows_count_for_no_index() {
        let indexes = [IndexShape::new("name", &["name"], true)];
        let counters = IndexCounters::new(&indexes, true);
        for key in ["7", "name", "name:Ada", "name:Mia", "all", "other:1"] {
            counters.invalidated(key);
        }
        assert_eq!(counters.invalidations("name"), 2);
        assert_eq!(counters.invalidations(LIST_OF_ALL), 1);
        assert_eq!(counters.invalidations("other"), 0);
    }

    #[test]
    fn an_index_is_unread_until_it_is_read_or_warmed_up() {
        let indexes = [IndexShape::new("name", &["name"], true)];
        let unread = || {
            let counters = IndexCounters::new(&indexes, false);
            for _ in 0..100 {
                counters.invalidated("name:Ada");
            }
            counters
        };
        assert!(unread().is_unread("name"));
        let (read, warmed) = (unread(), unread());
        read.read("name", Outcome::Miss);
        warmed.warmed("name");
        assert!(!read.is_unread("name") && !warmed.is_unread("name"));
        assert!(!IndexCounters::new(&indexes, false).is_unread("name"));
    }

    #[test]
    fn reads_are_counted_by_index_and_outcome() {
        let indexes = [IndexShape::new("name", &["name"], true)];
        let counters = IndexCounters::new(&indexes, false);
        counters.read("name", Outcome::Miss);
        counters.read("name", Outcome::L2Hit);
        counters.read(LIST_OF_ALL, Outcome::Miss);
        assert_eq!(counters.reads("name", Outcome::Miss), 1);
        assert_eq!(counters.all_reads("name"), 2);
        assert_eq!(counters.all_reads(LIST_OF_ALL), 0);
    }
}
