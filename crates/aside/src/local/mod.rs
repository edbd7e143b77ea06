//! The local tier: a near cache of typed entries, served without a round trip.
//!
//! An invalidation never removes an entry. Each entry carries the generations
//! under which it was read, the epoch of its value and a deadline, and every
//! hit checks them. An entry that has been invalidated, or can no longer be
//! proved fresh, is ignored and replaced by the next read. So inserts and
//! invalidations do not race, and neither takes a lock of the other. The store
//! only bounds memory, and decides which entries to keep (S3-FIFO).

mod entry;
mod key;
mod ghost;
mod pools;
mod written;
mod store;
mod copy;
mod named;
pub(crate) mod flight;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

pub(crate) use copy::LocalCopy;
pub(crate) use entry::PackedEntry;
use key::{EntryKey, EntryKeyRef};
use pools::{Arrival, Change, Departed, Evict, Group};
pub(crate) use pools::{Curve, Part, Pools};
use store::{Equivalent, Store};

use crate::answer::Missed;
use crate::entity::Entity;
use crate::entity::lookup::{Found, Lookup, LookupRef};
use crate::insight::statistics::{KindStatistics, Operation, Outcome};
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};
use crate::trust::generations::{Generations, Stamp};
use crate::trust::shard_trust::ShardTrust;

/// The assumed duration of a read below the local tier, before one was timed.
const TYPICAL_READ: Duration = Duration::from_millis(1);

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
    rows: Store<E>,
    lists: Store<E>,
    generations: Arc<Generations>,
    /// Those of the generations, one pointer nearer.
    trust: Arc<[ShardTrust]>,
    /// The last known epoch of the kind.
    epoch: Arc<AtomicU64>,
    statistics: Arc<KindStatistics>,
    /// Entries that were evicted, or too large to insert.
    evictions: AtomicU64,
    /// How long a read of a row and of a list takes below this tier, in
    /// nanoseconds, averaged; zero before the first.
    took: [AtomicU64; 2],
    /// Its seats in the pools; nothing is kept without them.
    place: OnceLock<(Arc<Pools>, Group)>,
}

impl<E: Entity> LocalTier<E> {
    pub(crate) fn new(
        generations: Arc<Generations>,
        epoch: Arc<AtomicU64>,
        statistics: Arc<KindStatistics>,
    ) -> Self {
        Self {
            rows: Store::new(&generations),
            lists: Store::new(&generations),
            trust: Arc::clone(generations.shards()),
            generations,
            epoch,
            statistics,
            evictions: AtomicU64::new(0),
            took: Default::default(),
            place: OnceLock::new(),
        }
    }

    /// Lets a kind of this name use the memory of `pools`, with its share. The
    /// kind's previous store loses its entries.
    pub(crate) fn join(self: &Arc<Self>, pools: &Arc<Pools>, kind: &'static str, share: u32) {
        let store: Weak<dyn Evict> = Arc::downgrade(self) as _;
        let group = pools.admit(kind, share, store);
        let _ = self.place.set((Arc::clone(pools), group));
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
        let store = self.store(asked);
        let shard = store.read(hash);
        let kept = match asked {
            LookupRef::Id(id) => shard.get(&EntryKeyRef::id(id, hash)),
            LookupRef::Index(_) | LookupRef::All => shard.get(&EntryKeyRef::asked(asked, hash)),
        }?;
        self.serve(store, hash, kept, take)
    }

    #[inline(never)]
    fn get_by_text<T>(
        &self,
        asked: LookupRef<'_, E>,
        take: impl FnOnce(&PackedEntry<E>) -> T,
    ) -> Option<T> {
        let text = asked.text();
        let hash = key::hash_text(&text);
        let store = self.store(asked);
        let shard = store.read(hash);
        let kept = shard.get(&EntryKeyRef::text(&text, hash))?;
        self.serve(store, hash, kept, take)
    }

    #[inline(always)]
    fn serve<T>(
        &self,
        store: &Store<E>,
        hash: u64,
        kept: &PackedEntry<E>,
        take: impl FnOnce(&PackedEntry<E>) -> T,
    ) -> Option<T> {
        if !self.is_valid(kept) {
            return None;
        }
        if store.is_sampled(hash) {
            store.hear(hash, kept);
        }
        Some(take(kept))
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

    /// Returns true if there is an entry that may be served now. Does not count as a
    /// use of it.
    pub(crate) fn has(&self, asked: LookupRef<'_, E>) -> bool {
        let name = EntryKey::of(asked.to_lookup());
        let shard = self.store(asked).read(name.hash());
        shard.peek(&name).is_some_and(|kept| self.is_valid(kept))
    }

    /// Returns an entry, valid or not.
    pub(crate) fn entry(&self, asked: LookupRef<'_, E>) -> Option<Entry<E>> {
        let name = EntryKey::of(asked.to_lookup());
        let shard = self.store(asked).read(name.hash());
        shard.get(&name).map(PackedEntry::entry)
    }

    /// Stores an entry, unless it was invalidated. If only the connection was
    /// lost, it is still the newest copy here.
    pub(crate) fn insert(&self, lookup: Lookup<E>, entry: Entry<E>) {
        let is_current = self
            .generations
            .proved(entry.stamp, Moment::NEVER)
            .is_some();
        let Some((pools, group)) = self.place.get().filter(|_| is_current) else {
            return;
        };
        let part = part(lookup.asked());
        let (name, kept) = (EntryKey::of(lookup), PackedEntry::new(entry));
        let arrival = Arrival {
            group: *group,
            part,
            shard: key::shard(name.hash()),
            hash: name.hash(),
            bytes: Store::weight(&name, &kept),
            took: self.took(part),
            heard: self.part(part).take_heard(),
        };
        let store = self.part(part);
        let mut new = Some((name, kept));
        let inserted = pools.insert(&arrival, |capacity, forgotten, left| {
            let new = new.take().expect("taken once");
            store.insert(new, capacity, forgotten, left)
        });
        store.sample(inserted.mask);
        if let Some((name, _)) = new.filter(|_| !inserted.is_kept) {
            self.evictions.fetch_add(1, Ordering::Relaxed);
            if let Some(change) = store.remove(&name) {
                pools.removed(*group, part, arrival.shard, &change);
            }
        }
        self.swept(part, arrival.shard);
    }

    /// Records how long a read took below this tier.
    pub(crate) fn read_took(&self, asked: LookupRef<'_, E>, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        let average = |before: u64| match before {
            0 => nanos,
            before => before - before / 16 + nanos / 16,
        };
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        let took = &self.took[part(asked) as usize];
        let _ = took.fetch_update(set, read, |before| Some(average(before)));
    }

    fn took(&self, part: Part) -> Duration {
        match self.took[part as usize].load(Ordering::Relaxed) {
            0 => TYPICAL_READ,
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// Removes all entries.
    pub(crate) fn clear(&self) {
        if let Some((pools, group)) = self.place.get() {
            pools.clear(*group);
        }
    }

    /// Returns the number of entries, valid or not.
    pub(crate) fn len(&self) -> u64 {
        self.rows.size().0 + self.lists.size().0
    }

    /// Returns their size.
    pub(crate) fn bytes(&self) -> u64 {
        self.rows.size().1 + self.lists.size().1
    }

    /// Returns how many were evicted or too large to insert.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Returns the store that has a lookup's entry.
    #[inline(always)]
    fn store(&self, asked: LookupRef<'_, E>) -> &Store<E> {
        match asked {
            LookupRef::Id(_) => &self.rows,
            LookupRef::Index(_) | LookupRef::All => &self.lists,
        }
    }

    fn part(&self, part: Part) -> &Store<E> {
        match part {
            Part::Rows => &self.rows,
            Part::Lists => &self.lists,
        }
    }

    fn swept(&self, part: Part, shard: usize) {
        let evicted = self.part(part).sweep(shard);
        self.evictions.fetch_add(evicted, Ordering::Relaxed);
    }
}

/// Returns the pool of a lookup's entry.
fn part<E: Entity>(asked: LookupRef<'_, E>) -> Part {
    match asked {
        LookupRef::Id(_) => Part::Rows,
        LookupRef::Index(_) | LookupRef::All => Part::Lists,
    }
}

impl<E: Entity> Evict for LocalTier<E> {
    fn shrink(
        &self,
        place: (Part, usize),
        capacity: u64,
        forgotten: &[u64],
        left: &mut Vec<Departed>,
    ) -> Change {
        let (part, shard) = place;
        self.part(part).shrink(shard, capacity, forgotten, left)
    }

    fn sweep(&self, place: (Part, usize)) {
        self.swept(place.0, place.1);
    }

    fn clear(&self) {
        self.rows.clear();
        self.lists.clear();
    }

    fn hits(&self, part: Part) -> u64 {
        let operations = match part {
            Part::Rows => [Operation::FindById, Operation::FindMany],
            Part::Lists => [Operation::FindBy, Operation::ListAll],
        };
        let hits = |operation| self.statistics.reads(operation, Outcome::L1Hit);
        operations.into_iter().map(hits).sum()
    }
}

#[cfg(test)]
mod tests;
