//! The in-process tier: typed entries, served without asking anybody.
//!
//! An entry is never removed by an invalidation. It carries the generations
//! it was read under, the epoch of the value it came from and a deadline, and
//! it is looked at again on every hit: what has been forgotten since, or can
//! no longer be proved fresh, is passed over and replaced by the next read. So
//! there is no race between an insert and an invalidation, and no lock on the
//! way of either. The store only bounds memory; which entries it keeps is its
//! business (S3-FIFO).

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

pub(crate) use entry::Kept;
use key::{Hashed, Name, Sought};
pub(crate) use shares::Shares;
use shares::Store;

use crate::entity::Entity;
use crate::entity::lookup::{Asked, Found, Lookup};
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};
use crate::trust::generations::{Stamp, Stripes};
use crate::trust::link::Link;

/// What an entry weighs beyond its payload: key and entry, a row's reference
/// counts, and what tables and allocations have free.
const OVERHEAD_BYTES: u64 = 160;

/// What a payload is taken to weigh where none is known yet.
const TYPICAL_PAYLOAD_BYTES: u64 = 256;

/// What a store is made for before its kind's share is known. The store
/// remembers keys that it has pushed out, half as many as it holds; how many
/// that are it scales with its capacity from here, and cannot from zero.
const FIRST_CAPACITY_BYTES: u64 = 1 << 30;

/// Few, because a shard's part of the capacity bounds the largest entry; and
/// more than one, because nobody reads a shard while its tables grow.
const SHARDS: usize = 4;

/// For how many entries the shards have room at first, in proportion. What entries
/// lie in doubles as it grows: beginning alike, all would at once, and just after
/// it an entry would have the room of two. So they do one after the other.
const FIRST_ROOM: [usize; SHARDS] = [4, 5, 6, 7];

/// One answer, and what it takes to serve it again.
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

/// The in-process entries of one kind.
pub(crate) struct InProcess<E: Entity> {
    shards: [Shard<E>; SHARDS],
    evictions: Evictions,
    stripes: Arc<Stripes>,
    link: Arc<Link>,
    /// The kind's, as it is known.
    epoch: Arc<AtomicU64>,
}

/// Its lock is one of several locks for whoever reads, by thread, and all of
/// them for whoever writes: readers write to no memory that others read.
type Shard<E> = ShardedLock<Cache<Name<E>, Kept<E>, Bytes, Hashed, Evictions>>;

#[derive(Clone)]
struct Bytes;

impl<E: Entity> Weighter<Name<E>, Kept<E>> for Bytes {
    fn weight(&self, name: &Name<E>, kept: &Kept<E>) -> u64 {
        OVERHEAD_BYTES + name.text_bytes() + kept.payload_bytes()
    }
}

/// Counts what was pushed out, or was too large to come in. The store says as
/// much of an entry that another takes the place of; that one has been
/// forgotten before, which tells them apart.
#[derive(Clone)]
struct Evictions {
    count: Arc<AtomicU64>,
    stripes: Arc<Stripes>,
}

impl<E: Entity> Lifecycle<Name<E>, Kept<E>> for Evictions {
    /// What left the store, to be dropped when the lock is free again.
    type RequestState = Vec<(Name<E>, Kept<E>)>;

    fn on_evict(&self, left: &mut Self::RequestState, name: Name<E>, kept: Kept<E>) {
        if self.stripes.is_current(kept.stamp()) && Moment::now() < kept.deadline() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        left.push((name, kept));
    }
}

impl<E: Entity> InProcess<E> {
    pub(crate) fn new(stripes: Arc<Stripes>, link: Arc<Link>, epoch: Arc<AtomicU64>) -> Self {
        // The capacity comes with the kind's share; see `Shares`.
        let bytes = FIRST_CAPACITY_BYTES / SHARDS as u64;
        let items = bytes / (OVERHEAD_BYTES + TYPICAL_PAYLOAD_BYTES);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .weight_capacity(bytes)
            .build()
            .expect("both are set");
        let evictions = Evictions {
            count: Arc::default(),
            stripes: Arc::clone(&stripes),
        };
        let shard = |room| {
            let evictions = evictions.clone();
            let mut cache =
                Cache::with_options(options.clone(), Bytes, Hashed::default(), evictions);
            cache.reserve(room);
            ShardedLock::new(cache)
        };
        Self {
            shards: FIRST_ROOM.map(shard),
            evictions,
            stripes,
            link,
            epoch,
        }
    }

    /// What `take` makes of the entry, if it may be served now. It is lent
    /// under the lock of its shard, so `take` does little.
    #[inline]
    pub(crate) fn get<T>(
        &self,
        asked: Asked<'_, E>,
        take: impl FnOnce(&Kept<E>) -> T,
    ) -> Option<T> {
        if !asked.is_exact() {
            return self.get_by_text(asked, take);
        }
        let hash = key::hash(asked);
        let shard = read(&self.shards[key::shard(hash)]);
        let kept = match asked {
            Asked::Id(id) => shard.get(&Sought::id(id, hash)),
            Asked::Index(_) | Asked::All => shard.get(&Sought::asked(asked, hash)),
        }?;
        self.is_valid(kept).then(|| take(kept))
    }

    fn get_by_text<T>(&self, asked: Asked<'_, E>, take: impl FnOnce(&Kept<E>) -> T) -> Option<T> {
        let text = asked.text();
        let hash = key::hash_text(&text);
        let shard = read(&self.shards[key::shard(hash)]);
        let kept = shard.get(&Sought::text(&text, hash))?;
        self.is_valid(kept).then(|| take(kept))
    }

    /// Whether an entry may be served now.
    #[inline]
    fn is_valid(&self, kept: &Kept<E>) -> bool {
        // The proof before the generations: one of a later connection comes
        // after that has raised its own, which is seen then.
        let now = Moment::now();
        self.link.is_synced(now)
            && now < kept.deadline()
            && self.stripes.is_current(kept.stamp())
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

    /// The entry and how far behind it may be, if nothing was heard that may
    /// mean it, and both that and the time since its TTL are within `limit`.
    pub(crate) fn stale(
        &self,
        asked: Asked<'_, E>,
        now: Moment,
        limit: Duration,
    ) -> Option<(Entry<E>, Duration)> {
        // Before the generations are looked at: a proof that comes meanwhile
        // may be of a later one.
        let proved = self.link.proved_at();
        let entry = self.held(asked)?;
        let behind = now.since(self.stripes.proved(entry.stamp, proved)?);
        let allowed = entry.epoch >= self.epoch.load(Ordering::Acquire)
            && behind <= limit
            && now <= entry.deadline.plus(limit);
        allowed.then_some((entry, behind))
    }

    /// What is held, valid or not.
    pub(crate) fn held(&self, asked: Asked<'_, E>) -> Option<Entry<E>> {
        let name = Name::of(asked.to_lookup());
        let shard = read(&self.shards[key::shard(name.hash())]);
        shard.get(&name).map(Kept::entry)
    }

    /// Keeps an answer. It is worth nothing if its stripe has been forgotten;
    /// if only the connection was lost, it is what is newest of the row here.
    pub(crate) fn insert(&self, lookup: Lookup<E>, entry: Entry<E>) {
        if self.stripes.proved(entry.stamp, Moment::NEVER).is_some() {
            let name = Name::of(lookup);
            let shard = &self.shards[key::shard(name.hash())];
            let mut left = Vec::new();
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.insert_with_lifecycle(name, Kept::new(entry), &mut left);
            drop(shard);
            drop(left);
        }
    }

    /// Holds nothing any more.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.clear();
        }
    }

    /// How many answers are held, valid or not.
    pub(crate) fn len(&self) -> u64 {
        let held = self.shards.iter().map(|shard| read(shard).len() as u64);
        held.sum()
    }

    /// What they weigh.
    pub(crate) fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| read(shard).weight()).sum()
    }

    /// How many were pushed out, or were too large to come in.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.count.load(Ordering::Relaxed)
    }
}

/// A shard whose lock somebody's panic left is as good as it was.
#[inline]
fn read<T>(shard: &ShardedLock<T>) -> ShardedLockReadGuard<'_, T> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

impl<E: Entity> Store for InProcess<E> {
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
