//! The rows of the journal that servers have acknowledged, until they are deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::tiers::acknowledgement::{Acknowledgement, Standing};
use crate::tiers::shard_map::ShardMap;

/// The maximum number of rows remembered until deletion. Further ones are
/// applied again.
const MAX_ROWS: usize = 100_000;

/// Acknowledged rows that are not deleted yet, by id.
#[derive(Debug, Default)]
pub(super) struct Acknowledged(BTreeMap<i64, Acknowledgement>);

/// Ids from after the first up to the second.
pub(super) type Range = (Bound<i64>, Bound<i64>);

impl Acknowledged {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, id: i64) -> bool {
        self.0.contains_key(&id)
    }

    /// Adds a row, if there is room.
    pub(super) fn add(&mut self, id: i64, by: Acknowledgement) {
        if self.0.len() < MAX_ROWS {
            self.0.insert(id, by);
        }
    }

    pub(super) fn remove(&mut self, ids: &[i64]) {
        for id in ids {
            self.0.remove(id);
        }
    }

    /// Removes the rows of a range that are not in `left`.
    pub(super) fn retain_in(&mut self, range: Range, left: &BTreeSet<i64>) {
        let known = self.0.range(range).map(|(id, _)| *id);
        let gone: Vec<i64> = known.filter(|id| !left.contains(id)).collect();
        self.remove(&gone);
    }

    /// Removes the rows that are to be applied again, because a server that acknowledged
    /// them was replaced.
    pub(super) fn forget_lost(&mut self, map: &ShardMap) {
        self.0.retain(|_, by| by.standing(map) != Standing::Lost);
    }

    /// Returns up to `most` rows that may be deleted.
    pub(super) fn deletable(&self, map: &ShardMap, most: usize) -> Vec<i64> {
        let is_confirmed =
            |(_, by): &(&i64, &Acknowledgement)| by.standing(map) == Standing::Confirmed;
        let rows = self.0.iter().filter(is_confirmed);
        rows.map(|(id, _)| *id).take(most).collect()
    }
}
