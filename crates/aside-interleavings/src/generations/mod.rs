//! A local entry is never served after the invalidation of its key.
//!
//! A reader takes a stamp, reads Redis, and keeps the row. A writer removes the
//! row from Redis (its quarantine is acknowledged), invalidates the key
//! locally, and returns. A later reader is served the entry if it is valid. It
//! must not be the old row.
//!
//! A proof covers only entries inserted under its own connection. Once an entry
//! is no longer proved, the proof of the next connection must not make it
//! valid.

use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

mod runtime;
mod trust;

use runtime::clock::Moment;
use trust::generations::{Generations, Stamp};
use trust::shard_trust::{ShardTable, ShardTrust, TrustOfShard};

/// The rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// None, as in the library.
    Kept,
    /// The reader takes its stamp after it has read Redis.
    StampBeforeTheLook,
    /// The writer invalidates before its quarantine is acknowledged.
    ForgetAfterTheQuarantine,
    /// An entry is served without checking its stamp.
    LookAtTheStampOfAHit,
    /// The generations of a hit are checked before the proof.
    ProofBeforeTheGenerations,
}

/// The scope of the writer's invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgetting {
    /// The one key.
    Key,
    /// All keys, because messages may have been missed.
    All,
}

const KEY: u64 = 7;
/// Shares the key's stripe, so invalidating it invalidates the key as well.
const NEIGHBOUR: u64 = KEY + 2;

/// The contents of Redis: the old row, or nothing.
const OLD: u64 = 1;
const NOTHING: u64 = 0;

struct World {
    generations: Generations,
    _shard: TrustOfShard,
    redis: AtomicU64,
    /// The store of local entries, which has separate locks.
    entry: Mutex<Option<(u64, Stamp)>>,
    returned: AtomicBool,
}

impl World {
    fn read(&self, rule: Rule) {
        let early = self.generations.stamp(KEY, 0);
        let row = self.redis.load(Ordering::Acquire);
        let stamp = match rule {
            Rule::StampBeforeTheLook => self.generations.stamp(KEY, 0),
            _ => early,
        };
        // As in `LocalTier::insert`.
        if row == OLD && self.generations.is_current(stamp) {
            *self.entry.lock().unwrap() = Some((row, stamp));
        }
    }

    fn write(&self, rule: Rule, forgetting: Forgetting) {
        let forget = || match forgetting {
            Forgetting::Key => self.generations.invalidate(NEIGHBOUR),
            Forgetting::All => self.generations.invalidate_all(),
        };
        if rule == Rule::ForgetAfterTheQuarantine {
            forget();
        }
        self.redis.store(NOTHING, Ordering::Release);
        if rule != Rule::ForgetAfterTheQuarantine {
            forget();
        }
        self.returned.store(true, Ordering::Release);
    }

    /// Reads as `LocalTier::get` does.
    fn ask(&self, rule: Rule) {
        let returned = self.returned.load(Ordering::Acquire);
        let entry = *self.entry.lock().unwrap();
        let Some((row, stamp)) = entry else { return };
        let valid = rule == Rule::LookAtTheStampOfAHit || self.generations.is_current(stamp);
        assert!(
            !(returned && valid && row == OLD),
            "an invalidated row was served to a later read"
        );
    }
}

/// The time at which a hit is judged, within the bound of a proof of the same time.
const NOW: Moment = Moment::from_millis(10_000);

/// A shard without a proof. Its counter and its locks are the checker's.
fn shard() -> TrustOfShard {
    let bound = std::time::Duration::from_millis(500);
    let table = ShardTable::of(1, || ShardTrust::new(bound));
    table.take().unwrap()
}

/// Tries every interleaving of a reader, a writer, and a later read.
///
/// # Panics
/// If the invalidated row is served.
pub fn a_dead_row_is_never_served(rule: Rule, forgetting: Forgetting) {
    loom::model(move || {
        let shard = shard();
        let world = Arc::new(World {
            generations: Generations::of(2, shard.table()),
            _shard: shard,
            redis: AtomicU64::new(OLD),
            entry: Mutex::new(None),
            returned: AtomicBool::new(false),
        });
        let reading = Arc::clone(&world);
        let reader = thread::spawn(move || reading.read(rule));
        let writing = Arc::clone(&world);
        let writer = thread::spawn(move || writing.write(rule, forgetting));
        world.ask(rule);
        reader.join().unwrap();
        writer.join().unwrap();
        world.ask(rule);
    });
}

/// Tries every interleaving of a hit with a lost connection that is followed by
/// a new, proved one. The entry is unproved from the beginning.
///
/// # Panics
/// If the entry is valid under the proof of the later connection.
pub fn a_later_proof_passes_nothing(rule: Rule) {
    loom::model(move || {
        let shard = std::sync::Arc::new(shard());
        let generations = Generations::of(2, shard.table());
        let held = generations.stamp(KEY, 0);
        let watching = std::sync::Arc::clone(&shard);
        let watcher = thread::spawn(move || {
            // As in `Link::unsync` and `Link::pong`.
            watching.unsync();
            watching.prove(NOW);
        });
        // As in `LocalTier::is_valid`.
        let (synced, current) = (
            || shard.is_synced(NOW),
            || generations.is_current_in(&shard, held),
        );
        let served = match rule {
            Rule::ProofBeforeTheGenerations => current() && synced(),
            _ => synced() && current(),
        };
        assert!(!served, "an entry that was proved by a later connection");
        watcher.join().unwrap();
    });
}
