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
mod pool;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use self::border::Border;
use self::pool::{Pool, Seat};

/// The unit of a shard's capacity; see `HOT_ALLOCATION`.
pub(super) const GRAIN_BYTES: u64 = 32;

/// An entry above this part of its pool is not kept.
const MAX_ENTRY: u64 = 8;

/// The part of the memory in which nothing is evicted yet.
const FILLING: f64 = 29.0 / 32.0;

/// A pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Rows = 0,
    Lists = 1,
}

impl Part {
    pub(super) const ALL: [Self; 2] = [Self::Rows, Self::Lists];

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
}

struct State {
    capacity: u64,
    groups: Vec<Owner>,
    owners: u64,
    pools: [Pool; 2],
    border: Border,
    left: Vec<Departed>,
}

struct Owner {
    kind: &'static str,
    owner: u64,
    share: u32,
    store: Weak<dyn Evict>,
}

/// Shards whose departed entries are dropped after the lock is released.
type Swept = Vec<(Arc<dyn Evict>, (Part, usize))>;

impl Pools {
    pub(crate) fn new(capacity_bytes: usize) -> Self {
        Self(Mutex::new(State {
            capacity: capacity_bytes as u64,
            groups: Vec::new(),
            owners: 0,
            pools: Default::default(),
            border: Border::default(),
            left: Vec::new(),
        }))
    }

    /// Gives the store of a kind of this name its seats. The kind's previous
    /// store loses them and its entries.
    pub(super) fn admit(&self, kind: &'static str, share: u32, store: Weak<dyn Evict>) -> Group {
        let mut state = self.0.lock();
        state.owners += 1;
        let owner = state.owners;
        let known = state.groups.iter().position(|group| group.kind == kind);
        let at = known.unwrap_or(state.groups.len());
        if let Some(before) = state.groups.get(at).and_then(|group| group.store.upgrade()) {
            before.clear();
        }
        let new = Owner {
            kind,
            owner,
            share,
            store,
        };
        match state.groups.get_mut(at) {
            Some(group) => *group = new,
            None => state.groups.push(new),
        }
        for pool in &mut state.pools {
            pool.seat(at);
        }
        state.share_out();
        Group { at, owner }
    }

    /// Inserts an entry with `put`, which gets the capacity of the shard, and the
    /// names that it forgets. Returns false if the entry is not kept.
    pub(super) fn insert(
        &self,
        arrival: &Arrival,
        put: impl FnOnce(u64, &[u64], &mut Vec<Departed>) -> Change,
    ) -> bool {
        let mut swept = Vec::new();
        let mut state = self.0.lock();
        let is_kept = state.insert(arrival, put, &mut swept);
        drop(state);
        for (store, place) in swept {
            store.sweep(place);
        }
        is_kept
    }

    /// Records that an entry was removed from a shard.
    pub(super) fn removed(&self, group: Group, part: Part, shard: usize, change: &Change) {
        let mut state = self.0.lock();
        if state.is_seated(group) {
            state.pools[part as usize].settle(Seat::index(group.at, shard), None, change, &[], 0);
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
        let mut state = self.0.lock();
        for at in 0..state.groups.len() {
            state.clear(at);
        }
    }
}

impl State {
    fn is_seated(&self, group: Group) -> bool {
        self.groups[group.at].owner == group.owner
    }

    /// Divides what kinds with a share keep for themselves.
    fn share_out(&mut self) {
        let total: u64 = self.groups.iter().map(|group| u64::from(group.share)).sum();
        for (at, group) in self.groups.iter().enumerate() {
            let part = match group.share {
                0 | 1 => 0.0,
                share => f64::from(share) / total as f64,
            };
            for pool in &mut self.pools {
                pool.reserve(at, part);
            }
        }
    }

    fn clear(&mut self, at: usize) {
        if let Some(store) = self.groups[at].store.upgrade() {
            store.clear();
        }
        for pool in &mut self.pools {
            pool.cleared(at);
        }
    }

    fn held(&self) -> u64 {
        self.pools.iter().map(|pool| pool.held).sum()
    }

    /// Returns the bytes that a pool may have if both need more.
    fn target(&self, part: Part) -> u64 {
        let lists = (self.capacity as f64 * self.border.lists()) as u64;
        match part {
            Part::Rows => self.capacity - lists,
            Part::Lists => lists,
        }
    }

    fn insert(
        &mut self,
        arrival: &Arrival,
        put: impl FnOnce(u64, &[u64], &mut Vec<Departed>) -> Change,
        swept: &mut Swept,
    ) -> bool {
        let Arrival {
            group, part, bytes, ..
        } = *arrival;
        if !self.is_seated(group) {
            return false;
        }
        let seat = Seat::index(group.at, arrival.shard);
        self.border.missed(part, seat, arrival.hash, arrival.took);
        let free = self.capacity - self.pools[part.other() as usize].held.min(self.capacity);
        if self.target(part).max(free) / MAX_ENTRY < bytes {
            // A larger part would keep it.
            self.border
                .left(part, seat, arrival.hash, bytes, self.capacity);
            return false;
        }
        let Some(capacity) = self.make_room(part, seat, bytes, swept) else {
            return false;
        };
        let pool = &mut self.pools[part as usize];
        let forgotten = pool.outdated(seat);
        let change = put(capacity, &forgotten, &mut self.left);
        self.settle(part, seat, Some(arrival.hash), &change);
        true
    }

    /// Evicts entries until there is room for `bytes` more, or until the shard's
    /// own hand is to evict. Returns the capacity of the shard for the insertion;
    /// `None` if there is no room.
    fn make_room(&mut self, part: Part, seat: usize, bytes: u64, swept: &mut Swept) -> Option<u64> {
        loop {
            let held = self.held() + bytes;
            let pool = &self.pools[part as usize];
            if held <= self.capacity {
                let is_filling = (held as f64) < self.capacity as f64 * FILLING;
                return Some(match is_filling {
                    true => self.capacity.next_multiple_of(GRAIN_BYTES) + GRAIN_BYTES,
                    false => pool.capacity_with(seat, bytes),
                });
            }
            let target = self.target(part);
            let (from, next) = if pool.held + bytes <= target {
                // The other pool uses more than its part.
                let from = part.other();
                let target = self.target(from);
                (from, self.pools[from as usize].slowest(target)?)
            } else {
                let next = pool.slowest(target)?;
                if pool.evicts_itself(seat, next, bytes, target) {
                    return Some(pool.own_capacity(seat));
                }
                (part, next)
            };
            self.evict(from, next, swept);
        }
    }

    /// Evicts an entry from a shard.
    fn evict(&mut self, part: Part, seat: usize, swept: &mut Swept) {
        let (at, shard) = Seat::place(seat);
        let Some(store) = self.groups[at].store.upgrade() else {
            self.pools[part as usize].cleared(at);
            return;
        };
        let pool = &mut self.pools[part as usize];
        let forgotten = pool.outdated(seat);
        let capacity = pool.smaller_capacity(seat);
        let change = store.shrink((part, shard), capacity, &forgotten, &mut self.left);
        self.settle(part, seat, None, &change);
        swept.push((store, (part, shard)));
    }

    fn settle(&mut self, part: Part, seat: usize, own: Option<u64>, change: &Change) {
        let gone = self.left.iter().filter(|entry| Some(entry.hash) != own);
        let gone = gone.count();
        self.pools[part as usize].settle(seat, own, change, &self.left, gone);
        for entry in self.left.drain(..) {
            if entry.is_valid {
                let Departed { hash, bytes, .. } = entry;
                self.border.left(part, seat, hash, bytes, self.capacity);
            }
        }
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pools")
            .field("capacity_bytes", &self.0.lock().capacity)
            .finish_non_exhaustive()
    }
}
