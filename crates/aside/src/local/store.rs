//! The store of a kind's rows, or of its lists.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard};
use parking_lot::Mutex;
pub(super) use quick_cache::Equivalent;
use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::entry::PackedEntry;
use super::ghost::HOT_ALLOCATION;
use super::key::{self, EntryKey, PassThroughHasher, SHARDS};
use super::pools::{Change, Departed, GRAIN_BYTES, Heard};
use super::written::Written;
use crate::entity::Entity;
use crate::runtime::clock::Moment;
use crate::trust::generations::Generations;

/// The size of an entry beyond its payload: key and entry, a row's reference
/// counts, and unused capacity of tables and allocations.
const OVERHEAD_BYTES: u64 = 160;

/// More than there can be. The store would scale its own limit on the names of
/// evicted entries with its capacity, and lose some at each change. The pool
/// limits them instead.
const MAX_NAMES: usize = 1 << 62;

/// The most sampled reads that wait for the next miss.
const MAX_HEARD: usize = 1024;

/// The relative initial capacities of the shards. A shard's table doubles when
/// full. With equal capacities all would double at once, and an entry would
/// briefly occupy twice its memory. So they double one after the other.
const INITIAL_CAPACITIES: [usize; SHARDS] = [4, 5, 6, 7];

/// Entries in four shards.
pub(super) struct Store<E: Entity> {
    shards: [Shard<E>; SHARDS],
    /// The bits of a hash that are zero if reads of the key are sampled.
    mask: AtomicU64,
    /// True if no more reads can be heard now.
    is_deaf: AtomicBool,
    heard: Mutex<Vec<Heard>>,
    /// The sampled rows that writes have left.
    pub(super) written: Written,
    left: [Arc<Left<E>>; SHARDS],
}

/// A reader takes one of several locks, chosen by thread; a writer takes all.
/// So readers never write to memory that other threads read.
type Shard<E> = ShardedLock<Entries<E>>;

type Entries<E> = Cache<EntryKey<E>, PackedEntry<E>, Bytes, PassThroughHasher, Leaving<E>>;

#[derive(Clone)]
pub(super) struct Bytes;

impl<E: Entity> Weighter<EntryKey<E>, PackedEntry<E>> for Bytes {
    fn weight(&self, name: &EntryKey<E>, kept: &PackedEntry<E>) -> u64 {
        OVERHEAD_BYTES + name.text_bytes() + kept.payload_bytes()
    }
}

/// Records the entries that leave a shard.
pub(super) struct Leaving<E: Entity>(Arc<Left<E>>);

/// The entries that have left a shard since the last call of `Store::sweep`.
struct Left<E: Entity> {
    /// To be dropped after the lock is released.
    entries: Mutex<Vec<(EntryKey<E>, PackedEntry<E>)>>,
    /// How many of them could still have been served. The store also reports
    /// entries that were replaced; those were invalidated before.
    evicted: AtomicU64,
    departed: Mutex<Vec<Departed>>,
    /// The steps of the hand that looks for an entry to evict.
    steps: AtomicU64,
    generations: Arc<Generations>,
}

impl<E: Entity> Leaving<E> {
    fn leave(&self, name: EntryKey<E>, kept: PackedEntry<E>, is_cold: bool) {
        let left = &*self.0;
        let is_valid = left.generations.is_current(kept.stamp()) && Moment::now() < kept.deadline();
        left.evicted
            .fetch_add(u64::from(is_valid), Ordering::Relaxed);
        left.departed.lock().push(Departed {
            hash: name.hash(),
            bytes: Bytes.weight(&name, &kept),
            is_cold,
            is_valid,
        });
        left.entries.lock().push((name, kept));
    }
}

impl<E: Entity> Lifecycle<EntryKey<E>, PackedEntry<E>> for Leaving<E> {
    type RequestState = ();

    /// The hand asks this of every entry that it passes; none is pinned.
    fn is_pinned(&self, _: &EntryKey<E>, _: &PackedEntry<E>) -> bool {
        self.0.steps.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn on_evict_cold(&self, (): &mut (), name: EntryKey<E>, kept: PackedEntry<E>) {
        self.leave(name, kept, true);
    }

    fn on_evict_hot(&self, (): &mut (), name: EntryKey<E>, kept: PackedEntry<E>) {
        self.leave(name, kept, false);
    }
}

/// The name of an evicted entry, which the store remembers by its hash.
struct Remembered(u64);

impl std::hash::Hash for Remembered {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl<E: Entity> Equivalent<EntryKey<E>> for Remembered {
    /// No entry that is held has this name.
    fn equivalent(&self, _: &EntryKey<E>) -> bool {
        false
    }
}

impl<E: Entity> Store<E> {
    pub(super) fn new(generations: &Arc<Generations>) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(MAX_NAMES)
            .weight_capacity(GRAIN_BYTES << 32)
            .hot_allocation(HOT_ALLOCATION)
            .build()
            .expect("both are set");
        let left = INITIAL_CAPACITIES.map(|_| {
            Arc::new(Left {
                entries: Mutex::default(),
                evicted: AtomicU64::new(0),
                departed: Mutex::default(),
                steps: AtomicU64::new(0),
                generations: Arc::clone(generations),
            })
        });
        let shard = |at: usize| {
            let leaving = Leaving(Arc::clone(&left[at]));
            let hasher = PassThroughHasher::default();
            let mut cache = Cache::with_options(options.clone(), Bytes, hasher, leaving);
            cache.reserve(INITIAL_CAPACITIES[at]);
            ShardedLock::new(cache)
        };
        Self {
            shards: std::array::from_fn(shard),
            mask: AtomicU64::new(u64::MAX),
            is_deaf: AtomicBool::new(false),
            heard: Mutex::default(),
            written: Written::default(),
            left,
        }
    }

    /// Locks the shard of a hash for reading. A panic under its lock leaves the
    /// shard intact.
    #[inline(always)]
    pub(super) fn read(&self, hash: u64) -> ShardedLockReadGuard<'_, Entries<E>> {
        let shard = &self.shards[key::shard(hash)];
        shard.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the result of `take` on the first entry for which it has one. Looks at
    /// all entries of the store, under the lock of each shard.
    pub(super) fn find<T>(
        &self,
        mut take: impl FnMut(&EntryKey<E>, &PackedEntry<E>) -> Option<T>,
    ) -> Option<T> {
        self.shards.iter().find_map(|shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.iter().find_map(|(name, kept)| take(name, kept))
        })
    }

    /// Returns true if reads of a key are sampled.
    #[inline(always)]
    pub(super) fn is_sampled(&self, hash: u64) -> bool {
        Heard::is_sampled(hash, self.mask.load(Ordering::Relaxed))
    }

    /// Records that an entry was served. Only as many reads are recorded as misses
    /// can take away, so a hot key costs little.
    #[cold]
    #[inline(never)]
    pub(super) fn hear(&self, hash: u64, kept: &PackedEntry<E>) {
        self.written.read(hash);
        if self.is_deaf.load(Ordering::Relaxed) {
            return;
        }
        if let Some(mut heard) = self.heard.try_lock() {
            let bytes = OVERHEAD_BYTES + kept.payload_bytes();
            heard.push(Heard { hash, bytes });
            let is_full = MAX_HEARD <= heard.len();
            self.is_deaf.store(is_full, Ordering::Relaxed);
        }
    }

    /// Returns the sampled reads, and forgets them.
    pub(super) fn take_heard(&self) -> Vec<Heard> {
        let heard = std::mem::take(&mut *self.heard.lock());
        self.is_deaf.store(false, Ordering::Relaxed);
        heard
    }

    /// Samples the keys whose hashes have zeros at these bits.
    pub(super) fn sample(&self, mask: u64) {
        if self.mask.load(Ordering::Relaxed) != mask {
            self.mask.store(mask, Ordering::Relaxed);
        }
    }

    /// Inserts an entry into a shard of this capacity, in bytes. Drops the
    /// `forgotten` names, and adds the entries that left to `left`.
    pub(super) fn insert(
        &self,
        entry: (EntryKey<E>, PackedEntry<E>),
        capacity: u64,
        forgotten: &[u64],
        left: &mut Vec<Departed>,
    ) -> Change {
        let (name, kept) = entry;
        let at = key::shard(name.hash());
        self.change(at, capacity, forgotten, left, |cache| {
            cache.insert(name, kept)
        })
    }

    /// Sets the capacity of a shard in bytes, which evicts entries.
    pub(super) fn shrink(
        &self,
        at: usize,
        capacity: u64,
        forgotten: &[u64],
        left: &mut Vec<Departed>,
    ) -> Change {
        self.change(at, capacity, forgotten, left, |_| {})
    }

    fn change(
        &self,
        at: usize,
        capacity: u64,
        forgotten: &[u64],
        left: &mut Vec<Departed>,
        then: impl FnOnce(&mut Entries<E>),
    ) -> Change {
        let mut cache = self.shards[at]
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for hash in forgotten {
            cache.remove(&Remembered(*hash));
        }
        if cache.capacity() != capacity {
            cache.set_capacity(capacity);
        }
        then(&mut cache);
        let (bytes, entries) = (cache.weight(), cache.len() as u64);
        drop(cache);
        left.append(&mut self.left[at].departed.lock());
        Change {
            bytes,
            entries,
            steps: self.left[at].steps.swap(0, Ordering::Relaxed),
        }
    }

    /// Removes an entry that a larger one was to replace.
    pub(super) fn remove(&self, name: &EntryKey<E>) -> Option<Change> {
        let mut cache = self.shards[key::shard(name.hash())]
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let removed = cache.remove(name)?;
        let (bytes, entries) = (cache.weight(), cache.len() as u64);
        drop(cache);
        drop(removed);
        Some(Change {
            bytes,
            entries,
            steps: 0,
        })
    }

    /// Drops the entries that have left a shard. Returns how many could still
    /// have been served. Call it without a lock.
    pub(super) fn sweep(&self, at: usize) -> u64 {
        let left = std::mem::take(&mut *self.left[at].entries.lock());
        drop(left);
        self.left[at].evicted.swap(0, Ordering::Relaxed)
    }

    /// Removes all entries.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.clear();
        }
    }

    /// Returns the number of entries and their size.
    pub(super) fn size(&self) -> (u64, u64) {
        let shards = self.shards.iter();
        let sizes = shards.map(|shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            (shard.len() as u64, shard.weight())
        });
        sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// Returns the texts of the names of at most `limit` entries that are wanted.
    pub(super) fn names(
        &self,
        limit: usize,
        is_wanted: impl Fn(&EntryKey<E>, &PackedEntry<E>) -> bool,
    ) -> Vec<String> {
        let mut names = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let wanted = shard.iter().filter(|(name, kept)| is_wanted(name, kept));
            let left = limit - names.len();
            names.extend(wanted.map(|(name, _)| name.text()).take(left));
        }
        names
    }

    /// Returns the size of an entry.
    pub(super) fn weight(name: &EntryKey<E>, kept: &PackedEntry<E>) -> u64 {
        Bytes.weight(name, kept)
    }
}
