//! Rows that a write left, and whether they were read before the next write or their end.
//!
//! Only keys whose hits the store hears are followed, those of the ghosts' sample: so a
//! hit that is not sampled costs nothing, and one that is, a load and a comparison. A row
//! keeps its slot until its fate is known. A later one that needs the slot is passed
//! over, because rows that end early would otherwise be counted too often.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::LocalTier;
use super::key::EntryKey;
use crate::entity::Entity;
use crate::entity::lookup::LookupRef;
use crate::runtime::clock::Moment;

const SLOTS: usize = 1_024;

/// A row that was not read yet.
#[derive(Default)]
struct Slot {
    /// The hash of its key; zero without a row.
    hash: AtomicU64,
    /// The end of its TTL in milliseconds.
    ends: AtomicU64,
}

/// The rows that writes left in one store.
#[derive(Default)]
pub(super) struct Written {
    /// Made by the first row.
    slots: OnceLock<Box<[Slot]>>,
    read: AtomicU64,
    unread: AtomicU64,
}

impl Written {
    /// Records that a write left a row.
    pub(super) fn left(&self, hash: u64, ends: Moment, now: Moment) {
        let slots = self.slots.get_or_init(|| {
            let slots = (0..SLOTS).map(|_| Slot::default());
            slots.collect()
        });
        let slot = slot(slots, hash);
        let held = slot.hash.load(Ordering::Relaxed);
        if held != 0 && (held == hash || slot.is_over(now)) {
            self.unread.fetch_add(1, Ordering::Relaxed);
        } else if held != 0 {
            return;
        }
        slot.ends.store(ends.millis(), Ordering::Relaxed);
        slot.hash.store(hash, Ordering::Relaxed);
    }

    /// Records a read.
    #[inline]
    pub(super) fn read(&self, hash: u64) {
        if let Some(slots) = self.slots.get() {
            let held = &slot(slots, hash).hash;
            let order = Ordering::Relaxed;
            if held.load(order) == hash && held.compare_exchange(hash, 0, order, order).is_ok() {
                self.read.fetch_add(1, order);
            }
        }
    }

    /// Returns how many rows were read, and how many were not.
    pub(super) fn counts(&self, now: Moment) -> (u64, u64) {
        let slots = self.slots.get().into_iter().flatten();
        for slot in slots.filter(|slot| slot.is_over(now)) {
            if slot.hash.swap(0, Ordering::Relaxed) != 0 {
                self.unread.fetch_add(1, Ordering::Relaxed);
            }
        }
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.read), load(&self.unread))
    }
}

impl<E: Entity> LocalTier<E> {
    /// Records that a write has left a row, whose local entry ends after `ttl`, if reads
    /// of its key are sampled.
    pub(crate) fn left(&self, asked: LookupRef<'_, E>, ttl: Duration) {
        let hash = EntryKey::of(asked.to_lookup()).hash();
        let store = self.store(asked);
        if store.is_sampled(hash) {
            let now = Moment::now();
            store.written.left(hash, now.plus(ttl), now);
        }
    }

    /// Records that Redis has served a row that a write may have left.
    pub(crate) fn read_below(&self, asked: LookupRef<'_, E>) {
        let hash = EntryKey::of(asked.to_lookup()).hash();
        self.store(asked).written.read(hash);
    }

    /// Returns how many of the sampled rows that writes left were read, and how many not.
    pub(crate) fn written(&self) -> (u64, u64) {
        self.rows.written.counts(Moment::now())
    }
}

impl Slot {
    fn is_over(&self, now: Moment) -> bool {
        self.ends.load(Ordering::Relaxed) <= now.millis()
    }
}

fn slot(slots: &[Slot], hash: u64) -> &Slot {
    // The lowest bits choose the shard of the store.
    let at = usize::try_from((hash >> 16) % SLOTS as u64).unwrap_or(0);
    &slots[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: u64 = 7 << 16;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn a_row_is_unread_until_the_next_write_or_its_end() {
        let written = Written::default();
        written.left(HASH, at(100), at(0));
        assert_eq!(written.counts(at(50)), (0, 0));
        written.left(HASH, at(150), at(50));
        assert_eq!(written.counts(at(60)), (0, 1));
        assert_eq!(written.counts(at(150)), (0, 2));
        assert_eq!(written.counts(at(999)), (0, 2));
    }

    #[test]
    fn a_row_that_is_read_twice_counts_once() {
        let written = Written::default();
        written.read(HASH);
        written.left(HASH, at(100), at(0));
        written.read(HASH);
        written.read(HASH);
        assert_eq!(written.counts(at(999)), (1, 0));
    }

    #[test]
    fn a_row_keeps_its_slot_until_its_fate_is_known() {
        let (written, other) = (Written::default(), HASH + ((SLOTS as u64) << 16));
        written.left(HASH, at(100), at(0));
        written.left(other, at(100), at(0));
        written.read(other);
        assert_eq!(written.counts(at(50)), (0, 0));
        written.read(HASH);
        assert_eq!(written.counts(at(999)), (1, 0));
    }
}
