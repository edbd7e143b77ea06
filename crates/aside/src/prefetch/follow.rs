//! Fetching the keys that a row names, or that the rows of a list name.

use super::associations::{Association, Name, PrefetchAssociation};
use super::flying::Chosen;
use super::learner::Learner;
use super::lists::{LastList, Rest};
use super::names::Launch;
use crate::entity::following::Followed;
use crate::runtime::clock::Moment;

/// The maximum number of rows that are fetched for the rows of a list.
const MAX_SIBLINGS: usize = 256;

/// The maximum number of keys of the first rows of a list that are remembered.
const MAX_FIRST: usize = 16;

impl Learner {
    /// Fetches the keys that a row of a kind names, if most of such keys are read.
    pub(super) fn follow(
        &mut self,
        from: u8,
        followed: &[Followed],
        may_fetch: bool,
    ) -> Vec<Launch> {
        let mut chosen = Vec::new();
        for next in followed {
            if let Some(name) = self.name(from, next, false) {
                self.choose(&name, next, may_fetch, &mut chosen);
            }
        }
        self.send(chosen)
    }

    /// Fetches the keys that the rows of a list name by an association, apart from the
    /// one that is being read.
    pub(super) fn siblings(
        &mut self,
        name: &Name,
        followed: &[Followed],
        read: u64,
        may_fetch: bool,
    ) -> Vec<Launch> {
        let max = MAX_SIBLINGS.min(self.buffer.max_rows() / 2);
        let mut chosen = Vec::new();
        for next in followed {
            let is_same = self.name(name.from, next, true).as_ref() == Some(name);
            if is_same && next.key.hash() != read && chosen.len() < max {
                self.choose(name, next, may_fetch, &mut chosen);
            }
        }
        self.send(chosen)
    }

    /// Remembers the list that a context has read, with the keys that its first rows
    /// name. Only rows are fetched for all rows of a list: each list needs a query.
    pub(super) fn list(
        &mut self,
        (context, now): (u64, Moment),
        from: u8,
        followed: &[Followed],
        rest: Rest,
    ) {
        let mut first: Vec<(Name, u64)> = Vec::new();
        for next in followed.iter().filter(|next| next.index.is_empty()) {
            let hash = next.key.hash();
            let is_new = first.iter().all(|(_, known)| *known != hash);
            if let Some(name) = self.name(from, next, true)
                && is_new
                && first.len() < MAX_FIRST
            {
                first.push((name, hash));
            }
        }
        let list = (!first.is_empty()).then(|| Box::new(LastList::new(first, rest)));
        self.learnt().contexts.slot(context, now).list = list;
    }

    /// Returns all associations that were named.
    pub(super) fn associations(&self) -> Vec<PrefetchAssociation> {
        let shown = |association: &Association| {
            let name = &association.name;
            PrefetchAssociation {
                from: self.kind(name.from),
                to: self.kind(name.to),
                index: Some(name.index.clone()).filter(|index| !index.is_empty()),
                of_siblings: name.of_siblings,
                precision: association.precision(),
                is_fetched: association.is_fetched,
            }
        };
        self.associations.all().iter().map(shown).collect()
    }

    /// Returns the name of an association; `None` if no repository here has such keys.
    fn name(&self, from: u8, next: &Followed, of_siblings: bool) -> Option<Name> {
        Some(Name {
            from,
            to: self.number(next.kind)?,
            index: next.index.clone(),
            of_siblings,
        })
    }

    /// Counts a key as named, and chooses it if its association is fetched. A key that
    /// is there or under way costs nothing, and teaches nothing.
    fn choose(&mut self, name: &Name, next: &Followed, may_fetch: bool, chosen: &mut Vec<Chosen>) {
        let hash = next.key.hash();
        if self.is_there(name.to, next) {
            return;
        }
        let association = self.associations.of(name);
        association.named(hash, Moment::now());
        if !association.is_fetched || !may_fetch || self.is_spent() {
            return;
        }
        let add = |learner: &mut Self| learner.names(name.to).add_any(&*next.lookup);
        let Some(at) = self.row_of(name.to, hash, add) else {
            return;
        };
        let row = *self.learnt().table.row(at);
        if !row.is_large && chosen.iter().all(|known| known.row != at) {
            chosen.push(Chosen {
                row: at,
                kind: row.kind,
                name: row.name,
                has_marker: false,
            });
        }
    }

    /// Returns true if a key is held, fetched or being fetched.
    fn is_there(&mut self, kind: u8, next: &Followed) -> bool {
        let table = &self.learnt().table;
        let row = table.find(next.key.hash());
        let is_ahead = row.is_some_and(|row| table.row(row).is_ahead);
        is_ahead || self.names(kind).holds(&*next.lookup)
    }
}
