//! The state of the pools, and the choice of entries to evict.

use std::sync::{Arc, Weak};

use super::border::{self, Border};
use super::curve::{Curve, Ghosts};
use super::pool::{Pool, Seat};
use super::{Arrival, Change, Departed, Evict, GRAIN_BYTES, Group, Heard, Part};

/// An entry above this part of its pool is not kept.
const MAX_ENTRY: u64 = 8;

/// The part of the memory in which nothing is evicted yet.
const FILLING: f64 = 29.0 / 32.0;

/// Both pools, and the stores in them.
pub(super) struct State {
    capacity: u64,
    groups: Vec<Owner>,
    owners: u64,
    pools: [Pool; 2],
    border: Border,
    ghosts: [Ghosts; 2],
    left: Vec<Departed>,
}

struct Owner {
    kind: &'static str,
    owner: u64,
    share: u32,
    store: Weak<dyn Evict>,
}

/// Shards whose departed entries are dropped after the lock is released.
pub(super) type Swept = Vec<(Arc<dyn Evict>, (Part, usize))>;

impl State {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            groups: Vec::new(),
            owners: 0,
            pools: Default::default(),
            border: Border::default(),
            ghosts: Default::default(),
            left: Vec::new(),
        }
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Gives the store of a kind its seats, and empties its previous store.
    pub(super) fn admit(
        &mut self,
        kind: &'static str,
        share: u32,
        store: Weak<dyn Evict>,
    ) -> Group {
        self.owners += 1;
        let owner = self.owners;
        let known = self.groups.iter().position(|group| group.kind == kind);
        let at = known.unwrap_or(self.groups.len());
        if let Some(before) = self.groups.get(at).and_then(|group| group.store.upgrade()) {
            before.clear();
        }
        let new = Owner {
            kind,
            owner,
            share,
            store,
        };
        match self.groups.get_mut(at) {
            Some(group) => *group = new,
            None => self.groups.push(new),
        }
        for pool in &mut self.pools {
            pool.seat(at);
        }
        self.share_out();
        Group { at, owner }
    }

    pub(super) fn clear_all(&mut self) {
        for at in 0..self.groups.len() {
            self.clear(at);
        }
    }

    pub(super) fn is_seated(&self, group: Group) -> bool {
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

    pub(super) fn clear(&mut self, at: usize) {
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

    pub(super) fn insert(
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

    /// Shows the ghosts the reads that a store has served, and its miss.
    pub(super) fn hear(&mut self, arrival: &Arrival) {
        let (part, at) = (arrival.part, arrival.group.at);
        if !self.is_seated(arrival.group) {
            return;
        }
        let free = self.capacity - self.pools[part.other() as usize].held.min(self.capacity);
        let capacity = self.target(part).max(free);
        let entries = self.pools[part as usize].entries();
        let hits = || hits(&self.groups, part);
        let ghosts = &mut self.ghosts[part as usize];
        ghosts.fit(entries, capacity, hits);
        ghosts.missed();
        let missed = Heard {
            hash: arrival.hash,
            bytes: arrival.bytes,
        };
        let mask = ghosts.mask();
        for heard in arrival.heard.iter().chain([&missed]) {
            if Heard::is_sampled(heard.hash, mask) {
                ghosts.read(border::name(at, heard.hash), heard.bytes);
            }
        }
    }

    pub(super) fn mask(&self, part: Part) -> u64 {
        self.ghosts[part as usize].mask()
    }

    pub(super) fn curve(&self, part: Part) -> Option<Curve> {
        let entries = self.pools[part as usize].entries();
        self.ghosts[part as usize].curve(entries, hits(&self.groups, part))
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

    pub(super) fn settle(&mut self, part: Part, seat: usize, own: Option<u64>, change: &Change) {
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

fn hits(groups: &[Owner], part: Part) -> u64 {
    let stores = groups.iter().filter_map(|group| group.store.upgrade());
    stores.map(|store| store.hits(part)).sum()
}
