//! An in-process entry never outlives the forgetting of its key.
//!
//! A reader takes a stamp, looks at Redis, and keeps what it found; a writer
//! destroys what Redis holds (its quarantine is acknowledged), forgets the key
//! here, and returns; another reader, who asks after that, is served by the
//! entry if it is valid. It must not be the old row.
//!
//! And a proof is one of what was held under its own connection: where an entry
//! is not proved any more, the next connection's proof does not pass it.

use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

mod sync {
    pub(crate) use loom::sync::atomic;

    /// With the manners of the library's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

/// Nothing here depends on what time it is.
mod clock {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Moment(());

    impl Moment {
        pub(crate) const SOME: Self = Self(());
    }
}

#[path = "../../aside/src/proofs.rs"]
#[allow(dead_code)]
mod proofs;

#[path = "../../aside/src/stripes.rs"]
#[allow(dead_code)]
mod checked;

use checked::{Stamp, Stripes};

/// What a rule is left out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing: as the library does it.
    Kept,
    /// The reader takes its stamp after it has looked.
    StampBeforeTheLook,
    /// The writer forgets before its quarantine is acknowledged.
    ForgetAfterTheQuarantine,
    /// An entry is served without a look at its stamp.
    LookAtTheStampOfAHit,
    /// The generations of a hit are looked at before the proof.
    ProofBeforeTheGenerations,
}

/// How the writer forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgetting {
    /// The one key.
    Key,
    /// Everything, since messages may have been missed.
    All,
}

const KEY: u64 = 7;
/// Shares the key's stripe, so that it is forgotten as well.
const NEIGHBOUR: u64 = KEY + 2;

/// What Redis holds: the old row, or nothing.
const OLD: u64 = 1;
const NOTHING: u64 = 0;

struct World {
    stripes: Stripes,
    redis: AtomicU64,
    /// The store of in-process entries, which has locks of its own.
    entry: Mutex<Option<(u64, Stamp)>>,
    returned: AtomicBool,
}

impl World {
    fn read(&self, rule: Rule) {
        let early = self.stripes.stamp(KEY);
        let row = self.redis.load(Ordering::Acquire);
        let stamp = match rule {
            Rule::StampBeforeTheLook => self.stripes.stamp(KEY),
            _ => early,
        };
        // What `InProcess::insert` does.
        if row == OLD && self.stripes.is_current(stamp) {
            *self.entry.lock().unwrap() = Some((row, stamp));
        }
    }

    fn write(&self, rule: Rule, forgetting: Forgetting) {
        let forget = || match forgetting {
            Forgetting::Key => self.stripes.forget(NEIGHBOUR),
            Forgetting::All => self.stripes.forget_all(),
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

    /// Asks as `InProcess::get` does.
    fn ask(&self, rule: Rule) {
        let returned = self.returned.load(Ordering::Acquire);
        let entry = *self.entry.lock().unwrap();
        let Some((row, stamp)) = entry else { return };
        let valid = rule == Rule::LookAtTheStampOfAHit || self.stripes.is_current(stamp);
        assert!(
            !(returned && valid && row == OLD),
            "a row that was forgotten before it was asked for"
        );
    }
}

/// Tries every interleaving of a reader, a writer, and somebody who asks.
///
/// # Panics
/// Where the dead row is served.
pub fn a_dead_row_is_never_served(rule: Rule, forgetting: Forgetting) {
    loom::model(move || {
        let world = Arc::new(World {
            stripes: Stripes::of(2),
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

/// Tries every interleaving of a hit, and of a connection that is lost and
/// followed by another, which is proved in step. What is held is not proved any
/// more from the beginning.
///
/// # Panics
/// Where the entry passes by the proof of the later connection.
pub fn a_later_proof_passes_nothing(rule: Rule) {
    loom::model(move || {
        let world = Arc::new((Stripes::of(2), AtomicBool::new(false)));
        let held = world.0.stamp(KEY);
        let watching = Arc::clone(&world);
        let watcher = thread::spawn(move || {
            let (stripes, proved) = &*watching;
            // What `Link::unsync` and `Link::pong` do.
            stripes.lose_touch(clock::Moment::SOME);
            proved.store(true, Ordering::Release);
        });
        let (stripes, proved) = &*world;
        // As `InProcess::is_valid` looks.
        let served = match rule {
            Rule::ProofBeforeTheGenerations => {
                stripes.is_current(held) && proved.load(Ordering::Acquire)
            }
            _ => proved.load(Ordering::Acquire) && stripes.is_current(held),
        };
        assert!(!served, "an entry that was proved by a later connection");
        watcher.join().unwrap();
    });
}
