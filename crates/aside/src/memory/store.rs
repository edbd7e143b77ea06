//! The keys of one `memory://`, bounded in bytes.
//!
//! If memory runs out, values are evicted, least recently used first. Protocol
//! state is never evicted: losing a quarantine would let an old row back in,
//! and leases and quarantines are small and expire.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::glob;
use crate::entity::key::Key;
use crate::protocol::Refused;
use crate::protocol::state::State;

/// The size of a key beyond its own bytes: its nodes in three trees.
const OVERHEAD_BYTES: usize = 250;

/// The maximum number of expired keys that a call removes: more than a call can
/// add, so they never accumulate, and few enough to keep each call short.
const SWEPT_AT_ONCE: usize = 16;

/// A key in the order of a scan. Ordered by hash, so that a cursor stays valid
/// when its key is removed, and a scan ends even if keys are added.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    hash: u64,
    key: Key,
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_hash = self.hash.cmp(&other.hash);
        by_hash.then_with(|| self.key.as_str().cmp(other.key.as_str()))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Place {
    fn of(key: &Key) -> Self {
        Self {
            hash: key.hash(),
            key: key.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) bytes: Vec<u8>,
    /// The last millisecond in which the key exists.
    pub(super) expires: Option<u64>,
    /// Its position in the order of eviction; `None` for protocol state.
    turn: Option<u64>,
}

impl Slot {
    pub(super) fn state(&self) -> State<'_> {
        State::of(&self.bytes, self.expires.is_some())
    }

    fn is_over(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires < now)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Store {
    limit_bytes: usize,
    used_bytes: usize,
    slots: BTreeMap<Place, Slot>,
    by_expiry: BTreeSet<(u64, Place)>,
    by_turn: BTreeMap<u64, Place>,
    turns: u64,
}

impl Store {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
            slots: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            by_turn: BTreeMap::new(),
            turns: 0,
        }
    }

    /// Holds at most so many bytes from now on.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.limit_bytes = bytes;
        self.evict();
    }

    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns the key's slot and makes it the most recently used.
    pub(super) fn get(&mut self, key: &Key, now: u64) -> Option<&Slot> {
        let place = Place::of(key);
        if self.slots.get(&place)?.is_over(now) {
            self.take_out(&place);
            return None;
        }
        let slot = self.slots.get_mut(&place)?;
        if let Some(turn) = &mut slot.turn {
            self.by_turn.remove(turn);
            self.turns += 1;
            *turn = self.turns;
            self.by_turn.insert(self.turns, place);
        }
        Some(slot)
    }

    /// Replaces the key's bytes until the end of the millisecond `expires`.
    ///
    /// # Errors
    ///
    /// If a value would not even fit alone. It is refused as by a full server,
    /// and the key is unchanged.
    pub(super) fn put(
        &mut self,
        key: &Key,
        bytes: Vec<u8>,
        expires: Option<u64>,
    ) -> Result<(), Refused> {
        let mut slot = Slot {
            bytes,
            expires,
            turn: None,
        };
        let weight = weight(key, &slot);
        let may_go = matches!(slot.state(), State::Absent | State::Value);
        if may_go && weight > self.limit_bytes {
            return Err(Refused::with("OOM"));
        }
        let place = Place::of(key);
        self.take_out(&place);
        if may_go {
            self.turns += 1;
            slot.turn = Some(self.turns);
            self.by_turn.insert(self.turns, place.clone());
        }
        if let Some(expires) = expires {
            self.by_expiry.insert((expires, place.clone()));
        }
        self.used_bytes += weight;
        self.slots.insert(place, slot);
        self.evict();
        Ok(())
    }

    /// Removes a key. Returns true if it existed.
    pub(super) fn remove(&mut self, key: &Key, now: u64) -> bool {
        let gone = self.take_out(&Place::of(key));
        gone.is_some_and(|slot| !slot.is_over(now))
    }

    /// Removes some expired keys.
    pub(super) fn sweep(&mut self, now: u64) {
        for _ in 0..SWEPT_AT_ONCE {
            match self.by_expiry.first() {
                Some((expires, place)) if *expires < now => {
                    let place = place.clone();
                    self.take_out(&place);
                }
                _ => return,
            }
        }
    }

    /// Visits `count` keys from `cursor` on. Returns the next cursor, which is
    /// zero at the end, and the matching keys.
    pub(super) fn scan(
        &self,
        cursor: u64,
        pattern: &str,
        count: usize,
        now: u64,
    ) -> (u64, Vec<String>) {
        let from = Place {
            hash: cursor,
            key: Key::new(""),
        };
        let mut keys = Vec::new();
        let mut last = None;
        for (seen, (place, slot)) in self.slots.range(from..).enumerate() {
            // A page never ends between two keys with equal hashes, because the
            // cursor could not tell which of them was visited.
            if seen >= count.max(1) && last != Some(place.hash) {
                return (place.hash, keys);
            }
            last = Some(place.hash);
            let text = place.key.as_str();
            if !slot.is_over(now) && glob::matches(pattern.as_bytes(), text.as_bytes()) {
                keys.push(text.to_owned());
            }
        }
        (0, keys)
    }

    fn evict(&mut self) {
        while self.used_bytes > self.limit_bytes {
            match self.by_turn.pop_first() {
                Some((_, place)) => self.take_out(&place),
                None => return,
            };
        }
    }

    fn take_out(&mut self, place: &Place) -> Option<Slot> {
        let slot = self.slots.remove(place)?;
        self.used_bytes -= weight(&place.key, &slot);
        if let Some(expires) = slot.expires {
            self.by_expiry.remove(&(expires, place.clone()));
        }
        if let Some(turn) = slot.turn {
            self.by_turn.remove(&turn);
        }
        Some(slot)
    }
}

fn weight(key: &Key, slot: &Slot) -> usize {
    key.as_str().len() + slot.bytes.len() + OVERHEAD_BYTES
}
