//! The names of local entries: all of them, or that of one by its hash.

use super::LocalTier;
use super::entry::PackedEntry;
use super::key::{self, EntryKey, EntryKeyRef};
use crate::entity::Entity;
use crate::entity::lookup::LookupRef;

impl<E: Entity> LocalTier<E> {
    /// Returns the keys of at most `limit` entries that may be served now, each as its
    /// text after the kind. Absences are left out, and entries with a `known` hash.
    pub(crate) fn held(&self, limit: usize, known: &[u64]) -> Vec<String> {
        let is_held = |name: &EntryKey<E>, kept: &PackedEntry<E>| {
            self.is_held(kept) && !known.contains(&name.hash())
        };
        let mut held = self.rows.names(limit, is_held);
        held.extend(self.lists.names(limit - held.len(), is_held));
        held
    }

    /// Returns the key of the entry with this hash, if it may be served now and is no
    /// absence. Does not count as a use of it.
    pub(crate) fn held_name(&self, hash: u64) -> Option<String> {
        self.name_if(hash, |kept| self.is_held(kept))
    }

    fn is_held(&self, kept: &PackedEntry<E>) -> bool {
        !kept.is_absence() && self.is_valid(kept)
    }

    /// Returns the hash by which [`name_of`](Self::name_of) finds the entry of a lookup.
    pub(crate) fn hash_of(asked: LookupRef<'_, E>) -> u64 {
        key::hash_of(asked)
    }

    /// Returns the key of the entry with this hash, valid or not, as its text after the
    /// kind. Does not count as a use of it.
    pub(crate) fn name_of(&self, hash: u64) -> Option<String> {
        self.name_if(hash, |_| true)
    }

    fn name_if(&self, hash: u64, is_wanted: impl Fn(&PackedEntry<E>) -> bool) -> Option<String> {
        [&self.rows, &self.lists].into_iter().find_map(|store| {
            let name = EntryKeyRef::hashed(hash);
            let shard = store.read(hash);
            shard.peek(&name).filter(|kept| is_wanted(kept))?;
            name.into_text()
        })
    }
}
