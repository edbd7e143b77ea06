//! Prefetch: rows that a task is likely to read next are fetched with the one that it
//! reads now.
//!
//! Each read that the local tier did not serve is an event of its task. The table
//! learns which keys follow which (`table`, `contexts`). A miss asks it for the keys
//! ahead, which travel together with the miss's own GET, and are kept in a ring beside
//! the local store (`buffer`). A wrong guess costs a read of Redis, and a budget bounds
//! them (`budget`). How a row is fetched and filled is the work of `read/prefetch`.
//!
//! Windows and markers follow the readahead of Linux: the middle row of each batch
//! carries a marker, and taking it fetches the next batch, so the next rows are under
//! way while these are used.

mod associations;
mod lists;
mod contexts;
mod table;
mod budget;
mod buffer;
mod flying;
mod names;
mod learner;
mod guess;
mod follow;
mod ear;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

pub use self::associations::PrefetchAssociation;
use self::buffer::{Buffered, Held};
pub(crate) use self::ear::Ear;
pub(crate) use self::flying::Flying;
use self::learner::Learner;
pub(crate) use self::lists::Rest;
use self::names::Launch;
use crate::config::CacheConfig;
use crate::config::prefetch::PrefetchMode;
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Lookup, LookupRef};
use crate::insight::statistics::{Guessed, KindStatistics};
use crate::local::Entry;
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};
use crate::trust::generations::Generations;

/// The maximum number of batches that ask Redis at once, and that load at once.
const MAX_ASKING: usize = 64;
const MAX_LOADING: usize = 2;

/// Fetches rows of one kind for guesses. It must not keep the service alive.
pub(crate) trait Fetcher<E: Entity>: Send + Sync {
    /// Returns true if the repository is gone.
    fn is_gone(&self) -> bool;
    /// Returns true if the local store has a usable entry.
    fn is_held(&self, asked: LookupRef<'_, E>) -> bool;
    /// Begins to fetch.
    fn fetch(&self, guesses: Vec<Guess<E>>);
}

/// A key that is likely to be read soon.
pub(crate) struct Guess<E: Entity> {
    pub(crate) lookup: Lookup<E>,
    pub(crate) flying: Flying,
}

/// What one service has learnt, and the rows that it has fetched on a guess.
pub(crate) struct Prefetch {
    learner: Mutex<Learner>,
    mode: AtomicU8,
    generations: Arc<Generations>,
    /// The number of places in the buffer, read without the lock.
    held: AtomicUsize,
    asking: AtomicUsize,
    loading: AtomicUsize,
    pub(crate) batches: AtomicU64,
}

/// A place among the batches under way, free again when dropped.
pub(crate) struct Turn<'a>(&'a AtomicUsize);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Prefetch {
    pub(crate) fn new(config: &CacheConfig, generations: &Arc<Generations>) -> Arc<Self> {
        Arc::new(Self {
            learner: Mutex::new(Learner::new(config)),
            mode: AtomicU8::new(config.prefetch as u8),
            generations: Arc::clone(generations),
            held: AtomicUsize::new(0),
            asking: AtomicUsize::new(0),
            loading: AtomicUsize::new(0),
            batches: AtomicU64::new(0),
        })
    }

    /// Registers a repository; `None` if there are too many kinds.
    pub(crate) fn register<E: Entity>(
        self: &Arc<Self>,
        statistics: &Arc<KindStatistics>,
        epoch: &Arc<AtomicU64>,
        fetcher: Arc<dyn Fetcher<E>>,
    ) -> Option<Ear<E>> {
        let mut learner = self.learner.lock();
        let number = learner.register(statistics, epoch, &fetcher)?;
        drop(learner);
        Some(Ear {
            prefetch: Arc::clone(self),
            number,
            fetcher,
        })
    }

    pub(crate) fn mode(&self) -> PrefetchMode {
        PrefetchMode::of(self.mode.load(Ordering::Relaxed))
    }

    pub(crate) fn set_mode(&self, mode: PrefetchMode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
        if mode != PrefetchMode::Auto {
            self.clear();
        }
    }

    /// Returns the share of visits that a successor needs at present.
    pub(crate) fn share_required(&self) -> f32 {
        self.learner.lock().share()
    }

    /// Returns true if guesses are names only, because too many were wrong.
    pub(crate) fn is_spent(&self) -> bool {
        self.learner.lock().is_spent()
    }

    /// Returns the number of rows in the buffer, and of learnt keys.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let learner = self.learner.lock();
        (learner.buffer.len(), learner.keys())
    }

    /// Returns the declared associations.
    pub(crate) fn associations(&self) -> Vec<PrefetchAssociation> {
        self.learner.lock().associations()
    }

    /// Returns true if the buffer has a usable row of this key.
    pub(crate) fn has(&self, key: &Key) -> bool {
        if self.is_empty() {
            return false;
        }
        let learner = self.learner.lock();
        let held = learner.buffer.get(key);
        held.is_some_and(|held| self.is_valid(&learner, held))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.held.load(Ordering::Acquire) == 0
    }

    /// Removes the row of a key, because a newer one is about to be stored, or was
    /// seen.
    pub(crate) fn forget(&self, key: &Key) {
        if self.is_empty() {
            return;
        }
        let mut learner = self.learner.lock();
        let held = learner.take(key);
        self.note_size(&learner);
        if let Some(held) = held.filter(|held| held.row.is_some()) {
            learner.count(held.kind, Guessed::Void);
        }
    }

    /// Removes all rows.
    pub(crate) fn clear(&self) {
        let mut learner = self.learner.lock();
        learner.clear_buffer();
        self.note_size(&learner);
    }

    fn note_size(&self, learner: &Learner) {
        self.held.store(learner.buffer.len(), Ordering::Release);
    }

    /// Returns true if a row may be served now. The same conditions as for a hit in
    /// the local store.
    fn is_valid(&self, learner: &Learner, held: &Held) -> bool {
        let Some(row) = &held.row else {
            return false;
        };
        let now = Moment::now();
        #[cfg(test)]
        if simulated::without(Rule::BufferStamped) {
            return now < row.deadline;
        }
        self.generations.is_fresh(row.stamp, now)
            && now < row.deadline
            && learner.epoch(held.kind) <= row.epoch
    }

    /// Ends the flight of a guess.
    fn landed(&self, row: u32) {
        self.learner.lock().landed(row);
    }

    /// Begins to fetch, outside of the lock.
    fn launch(self: &Arc<Self>, launches: Vec<Launch>) {
        for launch in launches {
            launch(self);
        }
    }

    /// Takes a place among the batches that ask Redis.
    pub(crate) fn turn_to_ask(&self) -> Option<Turn<'_>> {
        turn(&self.asking, MAX_ASKING)
    }

    /// Takes a place among the batches that load from the database.
    pub(crate) fn turn_to_load(&self) -> Option<Turn<'_>> {
        turn(&self.loading, MAX_LOADING)
    }

    /// Keeps a fetched row in the buffer.
    pub(crate) fn keep<E: Entity>(&self, flying: &Flying, key: &Key, entry: Entry<E>) {
        let row = Buffered {
            stamp: entry.stamp,
            epoch: entry.epoch,
            deadline: entry.deadline,
            payload_bytes: entry.payload_bytes as usize,
            entry: Box::new(entry),
        };
        let mut learner = self.learner.lock();
        let held = Held::new(key.clone(), flying.kind, flying.has_marker, Some(row));
        learner.put(held, |learner, held| self.is_valid(learner, held));
        self.note_size(&learner);
    }

    /// Counts the fate of a guess that is not in the buffer.
    pub(crate) fn count(&self, flying: &Flying, guessed: Guessed) {
        self.learner.lock().count(flying.kind, guessed);
    }

    /// Remembers that a value is too large for guesses.
    pub(crate) fn too_large(&self, flying: &Flying) {
        self.learner.lock().too_large(flying.row);
    }

    /// Returns true if a read has waited for this row since it was asked for.
    pub(crate) fn is_awaited(&self, flying: &Flying) -> bool {
        self.learner.lock().is_awaited(flying.row)
    }
}

fn turn(count: &AtomicUsize, max: usize) -> Option<Turn<'_>> {
    let more = |now| (now < max).then_some(now + 1);
    let taken = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
    taken.ok().map(|_| Turn(count))
}
