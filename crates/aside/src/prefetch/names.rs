//! The names of learnt keys, by kind. A key's hash cannot be fetched, so its lookup is
//! kept.

use std::any::Any;
use std::sync::Arc;

use super::{Fetcher, Guess, Prefetch};
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Lookup, LookupRef};
use crate::entity::namespace::Namespace;
use crate::prefetch::flying::{Chosen, Flying};

/// The least number of names by which a list of them grows.
const MIN_GROWTH: usize = 64;

/// Begins to fetch rows, outside of the lock.
pub(super) type Launch = Box<dyn FnOnce(&Arc<Prefetch>) + Send>;

/// The names of one kind.
pub(super) struct Names<E: Entity> {
    lookups: Vec<Option<Lookup<E>>>,
    free: Vec<u32>,
    pub(super) fetcher: Arc<dyn Fetcher<E>>,
}

/// The same without the type of the rows.
pub(super) trait AnyNames: Send {
    /// Returns true if the local store has a usable entry of this name.
    fn is_held(&self, name: u32) -> bool;
    fn is_list(&self, name: u32) -> bool;
    /// Returns true if the local store has a usable entry of this `Lookup`, or if it is
    /// one of another type.
    fn holds(&self, lookup: &dyn Any) -> bool;
    /// Adds a `Lookup`. Returns its place, and its size.
    fn add_any(&mut self, lookup: &dyn Any) -> Option<(u32, usize)>;
    fn key(&self, name: u32, namespace: Namespace<'_>) -> Option<Key>;
    /// Removes a name, and returns its size.
    fn remove(&mut self, name: u32) -> usize;
    /// Returns the work that fetches these rows; `None` if no repository is left.
    fn launch(&self, chosen: Vec<Chosen>) -> Option<Launch>;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<E: Entity> Names<E> {
    pub(super) fn new(fetcher: Arc<dyn Fetcher<E>>) -> Self {
        Self {
            lookups: Vec::new(),
            free: Vec::new(),
            fetcher,
        }
    }

    /// Adds a name. Returns its place, and its size.
    pub(super) fn add(&mut self, asked: LookupRef<'_, E>) -> (u32, usize) {
        let lookup = Some(asked.to_lookup());
        let at = match self.free.pop() {
            Some(free) => {
                self.lookups[free as usize] = lookup;
                free
            }
            None => {
                let count = self.lookups.len();
                if count == self.lookups.capacity() {
                    // Doubling would reserve twice the memory that is counted.
                    self.lookups.reserve_exact((count / 8).max(MIN_GROWTH));
                }
                self.lookups.push(lookup);
                u32::try_from(count).unwrap_or(u32::MAX)
            }
        };
        (at, bytes_of(asked))
    }

    fn get(&self, name: u32) -> Option<&Lookup<E>> {
        self.lookups.get(name as usize)?.as_ref()
    }
}

/// Returns the size of a name, heap included.
fn bytes_of<E: Entity>(asked: LookupRef<'_, E>) -> usize {
    let inline = size_of::<Option<Lookup<E>>>() + size_of::<u32>();
    let heap = match asked {
        LookupRef::Id(_) if !std::mem::needs_drop::<E::Id>() => 0,
        LookupRef::Id(_) => asked.text().len(),
        LookupRef::Index(_) => size_of::<E::Index>() + asked.text().len(),
        LookupRef::All => 0,
    };
    inline + heap
}

impl<E: Entity> AnyNames for Names<E> {
    fn is_held(&self, name: u32) -> bool {
        let lookup = self.get(name);
        lookup.is_none_or(|lookup| self.fetcher.is_held(lookup.asked()))
    }

    fn is_list(&self, name: u32) -> bool {
        !matches!(self.get(name), Some(Lookup::Id(_)))
    }

    fn holds(&self, lookup: &dyn Any) -> bool {
        let lookup = lookup.downcast_ref::<Lookup<E>>();
        lookup.is_none_or(|lookup| self.fetcher.is_held(lookup.asked()))
    }

    fn add_any(&mut self, lookup: &dyn Any) -> Option<(u32, usize)> {
        let lookup = lookup.downcast_ref::<Lookup<E>>()?;
        Some(self.add(lookup.asked()))
    }

    fn key(&self, name: u32, namespace: Namespace<'_>) -> Option<Key> {
        Some(self.get(name)?.asked().key(namespace))
    }

    fn remove(&mut self, name: u32) -> usize {
        let Some(lookup) = self.lookups.get_mut(name as usize).and_then(Option::take) else {
            return 0;
        };
        self.free.push(name);
        bytes_of(lookup.asked())
    }

    fn launch(&self, chosen: Vec<Chosen>) -> Option<Launch> {
        if self.fetcher.is_gone() {
            return None;
        }
        let named = chosen.into_iter().filter_map(|chosen| {
            let lookup = self.get(chosen.name)?.clone();
            Some((lookup, chosen))
        });
        let named: Vec<_> = named.collect();
        let fetcher = Arc::clone(&self.fetcher);
        Some(Box::new(move |prefetch| {
            let guesses = named.into_iter().map(|(lookup, chosen)| Guess {
                lookup,
                flying: Flying::new(prefetch, chosen),
            });
            fetcher.fetch(guesses.collect());
        }))
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
