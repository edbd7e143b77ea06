//! The local tier: a near cache of typed entries, served without a round trip.
//!
//! An invalidation never removes an entry. Each entry carries the generations
//! under which it was read, the epoch of its value and a deadline, and every
//! hit checks them. An entry that has been invalidated, or can no longer be
//! proved fresh, is ignored and replaced by the next read. So inserts and
//! invalidations do not race, and neither takes a lock of the other. The store
//! only bounds memory, and decides which entries to keep (S3-FIFO).

pub(crate) mod flight;

mod entry;
mod key;
mod shares;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard};
use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};

pub(crate) use entry::PackedEntry;
use key::{EntryKey, EntryKeyRef, PassThroughHasher};
pub(crate) use shares::Shares;
use shares::Store;

use crate::answer::Missed;
use crate::entity::Entity;
use crate::entity::lookup::{Found, Lookup, LookupRef};
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};
use crate::trust::generations::{Generations, Stamp};
use crate::trust::shard_trust::ShardTrust;

/// The size of an entry beyond its payload: key and entry, a row's reference
/// counts, and unused capacity of tables and allocations.
const OVERHEAD_BYTES: u64 = 160;

/// The assumed size of a payload before any is known.
const TYPICAL_PAYLOAD_BYTES: u64 = 256;

/// The capacity of a store before its kind's share is known. The store also
/// remembers evicted keys, half as many as it holds. It scales that number with
/// its capacity from this value, and could not scale it from zero.
const FIRST_CAPACITY_BYTES: u64 = 1 << 30;

/// Few, because a shard's capacity bounds the largest entry. More than one,
/// because a shard cannot be read while its tables grow.
const SHARDS: usize = 4;

/// The relative initial capacities of the shards. A shard's table doubles when
/// full. With equal capacities all would double at once, and an entry would
/// briefly occupy twice its memory. So they double one after the other.
const INITIAL_CAPACITIES: [usize; SHARDS] = [4, 5, 6, 7];

/// A cached result and its validity fields.
pub(crate) struct Entry<E> {
    pub(crate) found: Found<E>,
    pub(crate) stamp: Stamp,
    pub(crate) epoch: u64,
    pub(crate) deadline: Moment,
    /// When it was loaded from the database, in Unix milliseconds.
    pub(crate) loaded_at: i64,
    /// The id of its fill.
    pub(crate) fill: u64,
    pub(crate) payload_bytes: u32,
}

/// The local entries of one kind.
pub(crate) struct LocalTier<E: Entity> {
    shards: [Shard<E>; SHARDS],
    evictions: Evictions,
    generations: Arc<Generations>,
    /// Those of the generations, one pointer nearer.
    trust: Arc<[ShardTrust]>,
    /// The last known epoch of the kind.
    epoch: Arc<AtomicU64>,
}

/// A reader takes one of several locks, chosen by thread; a writer takes all.
/// So readers never write to memory that other threads read.
type Shard<E> =
    ShardedLock<Cache<EntryKey<E>, PackedEntry<E>, Bytes, PassThroughHasher, Evictions>>;

#[derive(Clone)]
struct Bytes;

impl<E: Entity> Weighter<EntryKey<E>, PackedEntry<E>> for Bytes {
    fn weight(&self, name: &EntryKey<E>, kept: &PackedEntry<E>) -> u64 {
        OVERHEAD_BYTES + name.text_bytes() + kept.payload_bytes()
    }
}

/// Counts entries that were evicted or too large to insert. The store also
/// reports entries that were replaced. Those were invalidated before, which
/// distinguishes them.
#[derive(Clone)]
struct Evictions {
    count: Arc<AtomicU64>,
    generations: Arc<Generations>,
}

impl<E: Entity> Lifecycle<EntryKey<E>, PackedEntry<E>> for Evictions {
    /// Entries that left the store, to be dropped after the lock is released.
    type RequestState = Vec<(EntryKey<E>, PackedEntry<E>)>;

    fn on_evict(&self, left: &mut Self::RequestState, name: EntryKey<E>, kept: PackedEntry<E>) {
        if self.generations.is_current(kept.stamp()) && Moment::now() < kept.deadline() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        left.push((name, kept));
    }
}

impl<E: Entity> LocalTier<E> {
    pub(crate) fn new(generations: Arc<Generations>, epoch: Arc<AtomicU64>) -> Self {
        // The capacity follows with the kind's share; see `Shares`.
        let bytes = FIRST_CAPACITY_BYTES / SHARDS as u64;
        let items = bytes / (OVERHEAD_BYTES + TYPICAL_PAYLOAD_BYTES);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .weight_capacity(bytes)
            .build()
            .expect("both are set");
        let evictions = Evictions {
            count: Arc::default(),
            generations: Arc::clone(&generations),
        };
        let shard = |room| {
            let evictions = evictions.clone();
            let mut cache = Cache::with_options(
                options.clone(),
                Bytes,
                PassThroughHasher::default(),
                evictions,
            );
            cache.reserve(room);
            ShardedLock::new(cache)
        };
        Self {
            shards: INITIAL_CAPACITIES.map(shard),
            evictions,
            trust: Arc::clone(generations.shards()),
            generations,
            epoch,
        }
    }

    /// Returns the result of `take` on the entry, if it may be served now.
    /// `take` runs under the lock of the shard, so it must be quick.
    // Always: see `read/row.rs`.
    #[inline(always)]
    pub(crate) fn get<T>(
        &self,
        asked: LookupRef<'_, E>,
        take: impl FnOnce(&PackedEntry<E>) -> T,
    ) -> Option<T> {
        if !asked.is_exact() {
            return self.get_by_text(asked, take);
        }
        let hash = key::hash(asked);
        let shard = read(&self.shards[key::shard(hash)]);
        let kept = match asked {
            LookupRef::Id(id) => shard.get(&EntryKeyRef::id(id, hash)),
            LookupRef::Index(_) | LookupRef::All => shard.get(&EntryKeyRef::asked(asked, hash)),
        }?;
        self.is_valid(kept).then(|| take(kept))
    }

    #[inline(never)]
    fn get_by_text<T>(
        &self,
        asked: LookupRef<'_, E>,
        take: impl FnOnce(&PackedEntry<E>) -> T,
    ) -> Option<T> {
        let text = asked.text();
        let hash = key::hash_text(&text);
        let shard = read(&self.shards[key::shard(hash)]);
        let kept = shard.get(&EntryKeyRef::text(&text, hash))?;
        self.is_valid(kept).then(|| take(kept))
    }

    /// Returns true if an entry may be served now.
    #[inline(always)]
    fn is_valid(&self, kept: &PackedEntry<E>) -> bool {
        // The proof comes before the generations. A later connection's proof
        // follows its own increment of the generations, which is then visible.
        let (now, stamp) = (Moment::now(), kept.stamp());
        let shard = &self.trust[stamp.shard()];
        shard.is_synced(now)
            && now < kept.deadline()
            && self.generations.is_current_in(shard, stamp)
            && kept.epoch() >= self.epoch()
    }

    #[inline]
    fn epoch(&self) -> u64 {
        #[cfg(test)]
        if simulated::without(Rule::Epoch) {
            return 0;
        }
        self.epoch.load(Ordering::Acquire)
    }

    /// Returns an entry and its staleness, if no invalidation of it was
    /// received, and both its staleness and the time since its TTL are within
    /// `limit`.
    pub(crate) fn stale(
        &self,
        asked: LookupRef<'_, E>,
        now: Moment,
        limit: Duration,
    ) -> Option<(Entry<E>, Duration)> {
        let entry = self.entry(asked)?;
        // Read before the generations, because a proof that arrives in between
        // may belong to a later one.
        let proved = self.trust[entry.stamp.shard()].proved_at();
        let behind = now.since(self.generations.proved(entry.stamp, proved)?);
        let allowed = entry.epoch >= self.epoch.load(Ordering::Acquire)
            && behind <= limit
            && now <= entry.deadline.plus(limit);
        allowed.then_some((entry, behind))
    }

    /// Returns why Redis has no value of an entry, if there is an entry.
    pub(crate) fn why_gone(&self, asked: LookupRef<'_, E>) -> Option<Missed> {
        let entry = self.entry(asked)?;
        let is_invalidated = || {
            let proved = self.generations.proved(entry.stamp, Moment::NEVER);
            proved.is_none()
        };
        Some(if entry.epoch < self.epoch() {
            Missed::Forgotten
        } else if is_invalidated() {
            Missed::Invalidated
        } else if entry.deadline <= Moment::now() {
            Missed::Expired
        } else {
            Missed::Evicted
        })
    }

    /// Returns an entry, valid or not.
    pub(crate) fn entry(&self, asked: LookupRef<'_, E>) -> Option<Entry<E>> {
        let name = EntryKey::of(asked.to_lookup());
        let shard = read(&self.shards[key::shard(name.hash())]);
        shard.get(&name).map(PackedEntry::entry)
    }

    /// Stores an entry, unless it was invalidated. If only the connection was
    /// lost, it is still the newest copy here.
    pub(crate) fn insert(&self, lookup: Lookup<E>, entry: Entry<E>) {
        if self
            .generations
            .proved(entry.stamp, Moment::NEVER)
            .is_some()
        {
            let name = EntryKey::of(lookup);
            let shard = &self.shards[key::shard(name.hash())];
            let mut left = Vec::new();
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.insert_with_lifecycle(name, PackedEntry::new(entry), &mut left);
            drop(shard);
            drop(left);
        }
    }

    /// Removes all entries.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.clear();
        }
    }

    /// Returns the number of entries, valid or not.
    pub(crate) fn len(&self) -> u64 {
        let held = self.shards.iter().map(|shard| read(shard).len() as u64);
        held.sum()
    }

    /// Returns their size.
    pub(crate) fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| read(shard).weight()).sum()
    }

    /// Returns how many were evicted or too large to insert.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.count.load(Ordering::Relaxed)
    }
}

/// Locks a shard for reading. A panic under its lock leaves the shard intact.
#[inline]
fn read<T>(shard: &ShardedLock<T>) -> ShardedLockReadGuard<'_, T> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

impl<E: Entity> Store for LocalTier<E> {
    fn set_capacity(&self, bytes: u64) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.set_capacity(bytes / SHARDS as u64);
        }
    }

    fn empty(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.clear();
        }
    }
}

#[cfg(test)]
mod tests;
