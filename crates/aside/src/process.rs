//! The in-process tier: typed entries, served without asking anybody.
//!
//! An entry is never removed by an invalidation. It carries the generations
//! it was read under, the epoch of the value it came from and a deadline, and
//! it is looked at again on every hit: what has been forgotten since, or can
//! no longer be proved fresh, is passed over and replaced by the next read. So
//! there is no race between an insert and an invalidation, and no lock on the
//! way of either. The store only bounds memory; which entries it keeps is its
//! business (S3-FIFO).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};

use crate::clock::Moment;
use crate::entity::Entity;
use crate::link::Link;
use crate::lookup::{Asked, Found, Lookup};
#[cfg(test)]
use crate::simulated::{self, Rule};
use crate::stripes::{Stamp, Stripes};

/// What an entry weighs beyond its payload: key, entry, allocations.
const OVERHEAD_BYTES: u64 = 160;

/// What a payload is taken to weigh where none is known yet.
const TYPICAL_PAYLOAD_BYTES: u64 = 256;

/// What a store is made for before its kind's share is known. The store
/// remembers keys that it has pushed out, half as many as it holds; how many
/// that are it scales with its capacity from here, and cannot from zero.
const FIRST_CAPACITY_BYTES: u64 = 1 << 30;

/// Few, because a shard's part of the capacity bounds the largest entry.
const SHARDS: usize = 4;

/// One answer, and what it takes to serve it again.
///
/// Kept by value: a hit copies 64 bytes and counts one reference, the row's
/// own. Behind a reference count of its own it would count two, and take
/// one of them back.
pub(crate) struct Entry<E> {
    pub(crate) found: Found<E>,
    pub(crate) stamp: Stamp,
    pub(crate) epoch: u64,
    pub(crate) deadline: Moment,
    /// When it was loaded from the database, in Unix milliseconds.
    pub(crate) loaded_at: i64,
    /// The fill it came from.
    pub(crate) fill: u64,
    pub(crate) payload_bytes: u32,
}

impl<E> Clone for Entry<E> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            found: self.found.clone(),
            ..*self
        }
    }
}

/// The in-process entries of one kind.
pub(crate) struct InProcess<E: Entity> {
    entries: Cache<Lookup<E>, Entry<E>, Bytes, foldhash::fast::RandomState, Evictions>,
    evictions: Evictions,
    stripes: Arc<Stripes>,
    link: Arc<Link>,
}

#[derive(Clone)]
struct Bytes;

/// Counts what was pushed out, or was too large to come in. The store says as
/// much of an entry that another takes the place of; that one has been
/// forgotten before, which tells them apart.
#[derive(Clone)]
struct Evictions {
    count: Arc<AtomicU64>,
    stripes: Arc<Stripes>,
}

impl<E: Entity> Lifecycle<Lookup<E>, Entry<E>> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Lookup<E>, entry: Entry<E>) {
        if self.stripes.is_current(entry.stamp) && Moment::now() < entry.deadline {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<E: Entity> Weighter<Lookup<E>, Entry<E>> for Bytes {
    fn weight(&self, _: &Lookup<E>, entry: &Entry<E>) -> u64 {
        OVERHEAD_BYTES + u64::from(entry.payload_bytes)
    }
}

impl<E: Entity> Equivalent<Lookup<E>> for Asked<'_, E> {
    #[inline]
    fn equivalent(&self, key: &Lookup<E>) -> bool {
        *self == key.asked()
    }
}

impl<E: Entity> InProcess<E> {
    pub(crate) fn new(stripes: Arc<Stripes>, link: Arc<Link>) -> Self {
        // The capacity comes with the kind's share; see `Shares`.
        let items = FIRST_CAPACITY_BYTES / (OVERHEAD_BYTES + TYPICAL_PAYLOAD_BYTES);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .weight_capacity(FIRST_CAPACITY_BYTES)
            .build()
            .expect("all three are set");
        let evictions = Evictions {
            count: Arc::default(),
            stripes: Arc::clone(&stripes),
        };
        let entries = Cache::with_options(
            options,
            Bytes,
            foldhash::fast::RandomState::default(),
            evictions.clone(),
        );
        Self {
            entries,
            evictions,
            stripes,
            link,
        }
    }

    /// What `take` makes of the entry, if it may be served at `now` under
    /// `epoch`. It is lent rather than given: to move what has just been written
    /// piece by piece costs as much as to look it up.
    #[inline]
    pub(crate) fn get<T>(
        &self,
        asked: Asked<'_, E>,
        epoch: u64,
        now: Moment,
        take: impl FnOnce(&mut Entry<E>) -> T,
    ) -> Option<T> {
        #[cfg(test)]
        let epoch = match simulated::without(Rule::Epoch) {
            true => 0,
            false => epoch,
        };
        match self.entries.get(&asked) {
            Some(mut entry)
                if self.stripes.is_current(entry.stamp)
                    && entry.epoch >= epoch
                    && self.link.is_synced(now)
                    && now < entry.deadline =>
            {
                Some(take(&mut entry))
            }
            _ => None,
        }
    }

    /// The entry and how far behind it may be, if nothing was heard that may
    /// mean it, and both that and the time since its TTL are within `limit`.
    pub(crate) fn stale(
        &self,
        asked: Asked<'_, E>,
        epoch: u64,
        now: Moment,
        limit: Duration,
    ) -> Option<(Entry<E>, Duration)> {
        // Before the generations are looked at: a proof that comes meanwhile
        // may be of a later one.
        let proved = self.link.proved_at();
        let entry = self.entries.get(&asked)?;
        let behind = now.since(self.stripes.proved(entry.stamp, proved)?);
        let allowed = entry.epoch >= epoch && behind <= limit && now <= entry.deadline.plus(limit);
        allowed.then_some((entry, behind))
    }

    /// What is held, valid or not.
    pub(crate) fn held(&self, asked: Asked<'_, E>) -> Option<Entry<E>> {
        self.entries.get(&asked)
    }

    /// Keeps an answer. It is worth nothing if its stripe has been forgotten;
    /// if only the connection was lost, it is what is newest of the row here.
    pub(crate) fn insert(&self, lookup: Lookup<E>, entry: Entry<E>) {
        if self.stripes.proved(entry.stamp, Moment::NEVER).is_some() {
            self.entries.insert(lookup, entry);
        }
    }

    /// How many answers are held, valid or not.
    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// What they weigh.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// How many were pushed out, or were too large to come in.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.count.load(Ordering::Relaxed)
    }
}

/// Divides the memory for in-process entries among the kinds.
pub(crate) struct Shares {
    capacity_bytes: u64,
    stores: Mutex<BTreeMap<&'static str, Share>>,
}

/// The store of one kind, and how much it asks for.
struct Share {
    parts: u32,
    store: Weak<dyn Store>,
}

/// A store of any kind, as seen by who divides the memory.
trait Store: Send + Sync {
    fn set_capacity(&self, bytes: u64);
}

impl<E: Entity> Store for InProcess<E> {
    fn set_capacity(&self, bytes: u64) {
        self.entries.set_capacity(bytes);
    }
}

impl Shares {
    pub(crate) fn new(capacity_bytes: usize) -> Self {
        Self {
            capacity_bytes: capacity_bytes as u64,
            stores: Mutex::default(),
        }
    }

    /// Gives a kind's store its share, which the others' shares shrink for.
    /// A store that the kind had before is left without any.
    pub(crate) fn admit<E: Entity>(&self, parts: u32, store: &Arc<InProcess<E>>) {
        let mut stores = self.stores.lock();
        let store: Weak<dyn Store> = Arc::downgrade(store) as _;
        if let Some(before) = stores.insert(E::KIND, Share { parts, store })
            && let Some(before) = before.store.upgrade()
        {
            before.set_capacity(0);
        }
        stores.retain(|_, share| 0 < share.store.strong_count());
        let total: u64 = stores.values().map(|share| u64::from(share.parts)).sum();
        for share in stores.values() {
            if let Some(store) = share.store.upgrade() {
                let part = u128::from(self.capacity_bytes) * u128::from(share.parts);
                let part = part / u128::from(total.max(1));
                store.set_capacity(u64::try_from(part).unwrap_or(u64::MAX));
            }
        }
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shares")
            .field("capacity_bytes", &self.capacity_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
