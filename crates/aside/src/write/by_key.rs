//! Keys of rows that a transaction changed without reading them.

use super::Write;
use crate::entity::key::Key;
use crate::entity::{self, Entity};

/// The label of writes that changed rows they did not know.
const UNKNOWN_ROWS: &str = "unknown_rows";

impl Write {
    /// Records that the row with this id may have changed, if the transaction
    /// does not have the row. Examples are a count over a link table, and a row
    /// that shows a joined one.
    ///
    /// It invalidates the row and the list of all rows. Other lists that contain
    /// the row need [`invalidate_list`](Self::invalidate_list). Nothing is left
    /// in the cache, and dependents are not invalidated.
    pub fn invalidate_id<E: Entity>(&mut self, id: &E::Id) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        self.invalidate_key::<E>(entity::id_key::<E>(tiers.namespace(), id));
        self.invalidate_all::<E>();
    }

    /// Records that the list with this index value may have changed, if the
    /// transaction does not have the rows that entered or left it. The list of all
    /// rows is invalidated as well.
    pub fn invalidate_list<E: Entity>(&mut self, index: &E::Index) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        self.invalidate_key::<E>(entity::index_key::<E>(tiers.namespace(), index));
        self.invalidate_all::<E>();
    }

    /// Records the whole kind, because a statement changed rows that the
    /// transaction had not read. It is counted as `unknown_rows` and logged
    /// once.
    #[doc(hidden)]
    pub fn unknown_rows<E: Entity>(&mut self) {
        self.whole_kind::<E>();
        let Some(tiers) = &self.tiers else {
            return;
        };
        if !tiers.statistics.errors().contains_key(UNKNOWN_ROWS) {
            tracing::warn!(
                kind = E::KIND,
                "a statement changed rows that another transaction added meanwhile: the whole \
                 kind is invalidated; further cases are only counted"
            );
        }
        tiers.statistics.error(UNKNOWN_ROWS);
    }

    /// Returns true if a change was recorded.
    pub(super) fn has_changes(&self) -> bool {
        !self.known.is_empty() || !self.whole_kinds.is_empty()
    }

    /// Records the key that each write of a row of the kind changes, if it has one.
    fn invalidate_all<E: Entity>(&mut self) {
        if let (true, Some(tiers)) = (entity::touches_all::<E>(), &self.tiers) {
            let all = entity::all_key(tiers.namespace(), E::KIND);
            self.add(all, E::KIND);
        }
    }

    fn invalidate_key<E: Entity>(&mut self, key: Key) {
        let tiers = self.tiers.as_ref();
        // Another type is cached under this kind, and its keys may be others.
        if tiers.is_some_and(|tiers| tiers.other_type::<E>().is_some()) {
            self.whole_kind::<E>();
        }
        // The row recorded under this id may no longer be the one that reads
        // return.
        self.values.remove(&key);
        self.add(key, E::KIND);
    }
}
