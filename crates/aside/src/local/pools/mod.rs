//! The memory for local entries: a pool for the rows of all kinds, and one for
//! their lists.
//!
//! A pool evicts as one store for all kinds would (CLOCK-Pro), and still each
//! kind has its own typed store, so that a hit knows the type of its entry. Each
//! shard of a store has a hand that looks for entries to evict. In one store
//! there would be one hand. Here all hands turn at the same speed: the hand with
//! the fewest turns evicts next.
//!
//! Lists are apart because one list would evict a thousand rows. A pool may use
//! memory that the other does not need. If both need more, a border divides it.

mod names;
mod border;
mod curve;
mod pool;
mod state;

use std::fmt;
use std::sync::Weak;
use std::time::Duration;

use parking_lot::Mutex;

pub(crate) use self::curve::Curve;
use self::pool::Seat;
use self::state::State;

/// The unit of a shard's capacity; see `ghost::HOT_ALLOCATION`.
pub(super) const GRAIN_BYTES: u64 = 32;

/// A pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Rows = 0,
    Lists = 1,
}

impl Part {
    pub(crate) const ALL: [Self; 2] = [Self::Rows, Self::Lists];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Lists => "lists",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Rows => Self::Lists,
            Self::Lists => Self::Rows,
        }
    }
}

/// A store of any kind.
pub(super) trait Evict: Send + Sync {
    /// Sets the capacity of a shard in bytes; see `Store::shrink`.
    fn shrink(
        &self,
        place: (Part, usize),
        capacity: u64,
        forgotten: &[u64],
        left: &mut Vec<Departed>,
    ) -> Change;
    /// Drops the entries that have left a shard.
    fn sweep(&self, place: (Part, usize));
    /// Removes all entries.
    fn clear(&self);
    /// Returns how many reads the entries of a pool have served.
    fn hits(&self, part: Part) -> u64;
}

/// A shard after an insertion or an eviction.
pub(super) struct Change {
    pub(super) bytes: u64,
    pub(super) entries: u64,
    /// The steps of its hand.
    pub(super) steps: u64,
}

/// An entry that left its shard.
pub(super) struct Departed {
    pub(super) hash: u64,
    pub(super) bytes: u64,
    /// True if the store remembers its name.
    pub(super) is_cold: bool,
    /// False if it could not have been served any more.
    pub(super) is_valid: bool,
}

/// The memory for local entries.
pub(crate) struct Pools(Mutex<State>);

/// The seats of one store: one per shard in each pool.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    at: usize,
    /// Distinguishes it from a later store of the same kind.
    owner: u64,
}

/// An entry to insert.
pub(super) struct Arrival {
    pub(super) group: Group,
    pub(super) part: Part,
    pub(super) shard: usize,
    pub(super) hash: u64,
    pub(super) bytes: u64,
    /// How long a read of it took.
    pub(super) took: Duration,
    /// Sampled reads that its store has served.
    pub(super) heard: Vec<Heard>,
}

/// A sampled read.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    pub(super) hash: u64,
    pub(super) bytes: u64,
}

impl Heard {
    /// Returns true if a key of this hash is sampled.
    #[inline(always)]
    pub(super) fn is_sampled(hash: u64, mask: u64) -> bool {
        hash & mask == 0
    }
}

/// What became of an entry.
pub(super) struct Inserted {
    pub(super) is_kept: bool,
    /// The bits of a hash that are zero if reads of the key are sampled.
    pub(super) mask: u64,
}

impl Pools {
    pub(crate) fn new(capacity_bytes: usize) -> Self {
        Self(Mutex::new(State::new(capacity_bytes as u64)))
    }

    /// Gives the store of a kind of this name its seats. The kind's previous
    /// store loses them and its entries.
    pub(super) fn admit(&self, kind: &'static str, share: u32, store: Weak<dyn Evict>) -> Group {
        self.0.lock().admit(kind, share, store)
    }

    /// Inserts an entry with `put`, which gets the capacity of the shard, and the
    /// names that it forgets.
    pub(super) fn insert(
        &self,
        arrival: &Arrival,
        put: impl FnOnce(u64, &[u64], &mut Vec<Departed>) -> Change,
    ) -> Inserted {
        let mut swept = Vec::new();
        let mut state = self.0.lock();
        state.hear(arrival);
        let inserted = Inserted {
            is_kept: state.insert(arrival, put, &mut swept),
            mask: state.mask(arrival.part),
        };
        drop(state);
        for (store, place) in swept {
            store.sweep(place);
        }
        inserted
    }

    /// Returns the curve of a pool; `None` before it was read.
    pub(crate) fn curve(&self, part: Part) -> Option<Curve> {
        self.0.lock().curve(part)
    }

    /// Records that an entry was removed from a shard.
    pub(super) fn removed(&self, group: Group, part: Part, shard: usize, change: &Change) {
        let mut state = self.0.lock();
        if state.is_seated(group) {
            state.settle(part, Seat::index(group.at, shard), None, change);
        }
    }

    /// Removes the entries of a store.
    pub(super) fn clear(&self, group: Group) {
        let mut state = self.0.lock();
        if state.is_seated(group) {
            state.clear(group.at);
        }
    }

    /// Removes the local entries of every kind.
    pub(crate) fn empty(&self) {
        self.0.lock().clear_all();
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pools")
            .field("capacity_bytes", &self.0.lock().capacity())
            .finish_non_exhaustive()
    }
}
