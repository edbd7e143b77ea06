//! One pool: the hands of its shards.

use std::collections::VecDeque;

use super::{Change, Departed, GRAIN_BYTES};
use crate::local::key::SHARDS;

/// How many turns a hand may be ahead of the slowest and still evict from its
/// own shard. So a shard whose kind is in balance keeps its capacity, and its
/// division into new entries and others.
const MAX_LEAD: f64 = 0.1;

#[derive(Default)]
pub(super) struct Pool {
    pub(super) held: u64,
    entries: u64,
    /// The number of entries whose names the shards remembered when they were
    /// evicted.
    evicted: u64,
    seats: Vec<Seat>,
}

/// A shard of a store.
#[derive(Default)]
pub(super) struct Seat {
    bytes: u64,
    entries: u64,
    /// How often its hand has passed over all entries.
    turns: f64,
    /// The part of the pool below which nothing is evicted here.
    reserved: f64,
    /// The names of evicted entries that the shard remembers, each with the
    /// number of its eviction.
    remembered: VecDeque<(u64, u64)>,
}

impl Seat {
    /// Returns the index of a seat in its pool.
    pub(super) fn index(group: usize, shard: usize) -> usize {
        group * SHARDS + shard
    }

    /// Returns the group and the shard of a seat.
    pub(super) fn place(index: usize) -> (usize, usize) {
        (index / SHARDS, index % SHARDS)
    }

    fn capacity(&self) -> u64 {
        self.bytes / GRAIN_BYTES * GRAIN_BYTES
    }

    fn is_reserved(&self, target: u64) -> bool {
        self.bytes as f64 <= self.reserved * target as f64
    }
}

impl Pool {
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// Gives a group empty seats.
    pub(super) fn seat(&mut self, group: usize) {
        let end = Seat::index(group + 1, 0);
        if self.seats.len() < end {
            self.seats.resize_with(end, Seat::default);
        }
        self.cleared(group);
    }

    /// Reserves a part of the pool for a group.
    pub(super) fn reserve(&mut self, group: usize, part: f64) {
        for seat in &mut self.seats[Seat::index(group, 0)..Seat::index(group + 1, 0)] {
            seat.reserved = part / SHARDS as f64;
        }
    }

    /// Records that the shards of a group are empty.
    pub(super) fn cleared(&mut self, group: usize) {
        for seat in &mut self.seats[Seat::index(group, 0)..Seat::index(group + 1, 0)] {
            self.held -= seat.bytes;
            self.entries -= seat.entries;
            *seat = Seat {
                turns: seat.turns,
                reserved: seat.reserved,
                ..Seat::default()
            };
        }
    }

    /// Returns the seat whose hand is to evict next, in a pool of `target` bytes.
    pub(super) fn slowest(&self, target: u64) -> Option<usize> {
        let seats = self.seats.iter().enumerate();
        let held = seats.filter(|(_, seat)| seat.entries > 0 && !seat.is_reserved(target));
        let slowest = held.min_by(|(_, one), (_, other)| one.turns.total_cmp(&other.turns));
        match slowest {
            Some((at, _)) => Some(at),
            // All of the pool is reserved.
            None if target > 0 => self.slowest(0),
            None => None,
        }
    }

    /// Returns true if a shard makes room for `bytes` by its own hand, where
    /// `next` has the slowest one.
    pub(super) fn evicts_itself(&self, seat: usize, next: usize, bytes: u64, target: u64) -> bool {
        let (own, next) = (&self.seats[seat], &self.seats[next]);
        let is_admitted = admitting(bytes) <= own.capacity();
        is_admitted && !own.is_reserved(target) && own.turns <= next.turns + MAX_LEAD
    }

    /// Returns the capacity with which a shard stays as large as it is.
    pub(super) fn own_capacity(&self, seat: usize) -> u64 {
        self.seats[seat].capacity()
    }

    /// Returns the capacity with which a shard has room for `bytes` more.
    pub(super) fn capacity_with(&self, seat: usize, bytes: u64) -> u64 {
        let all = self.seats[seat].bytes + bytes;
        all.max(admitting(bytes)).next_multiple_of(GRAIN_BYTES)
    }

    /// Returns the capacity with which a shard evicts one entry.
    pub(super) fn smaller_capacity(&self, seat: usize) -> u64 {
        let less = self.seats[seat].bytes.saturating_sub(1) / GRAIN_BYTES * GRAIN_BYTES;
        less.max(GRAIN_BYTES)
    }

    /// Returns the names that a shard has remembered for too long: while half as
    /// many entries were evicted as the pool has.
    pub(super) fn outdated(&mut self, seat: usize) -> Vec<u64> {
        let oldest = self.evicted.saturating_sub(self.entries / 2);
        let remembered = &mut self.seats[seat].remembered;
        let count = remembered.partition_point(|(number, _)| *number < oldest);
        remembered.drain(..count).map(|(_, hash)| hash).collect()
    }

    /// Records a change of a shard, in which `gone` entries were evicted. `own`
    /// is the name of an inserted entry.
    pub(super) fn settle(
        &mut self,
        at: usize,
        own: Option<u64>,
        change: &Change,
        left: &[Departed],
        gone: usize,
    ) {
        let start = match &self.seats[at] {
            // A hand that begins here is not behind the others.
            seat if seat.entries == 0 && own.is_some() => {
                let slowest = self.slowest(0).map(|next| self.seats[next].turns);
                slowest.map_or(seat.turns, |turns| seat.turns.max(turns))
            }
            seat => seat.turns,
        };
        let seat = &mut self.seats[at];
        seat.turns = start;
        if gone > 0 {
            seat.turns += change.steps.max(1) as f64 / seat.entries.max(1) as f64;
        }
        self.held = self.held - seat.bytes + change.bytes;
        self.entries = self.entries - seat.entries + change.entries;
        (seat.bytes, seat.entries) = (change.bytes, change.entries);
        for entry in left.iter().filter(|entry| entry.is_cold) {
            self.evicted += 1;
            seat.remembered.push_back((self.evicted, entry.hash));
        }
    }
}

/// Returns the least capacity of a shard that admits an entry.
fn admitting(bytes: u64) -> u64 {
    bytes + bytes / 8 + 2 * GRAIN_BYTES
}
