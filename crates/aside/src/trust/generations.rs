//! Generations: invalidation without a lookup, by striped counters.
//!
//! Each local entry stores the generation that its stripe had *before* its read
//! was sent. Invalidating a key increments the generation of its stripe.
//! Entries of older generations are then invalid, including inserts still in
//! progress, without a lock.
//!
//! Keys share generations. If each invalidation affected all keys of a stripe, an
//! update would cost a read of every row in it. So a stripe remembers tags of
//! the last keys that incremented it, and an entry survives that many
//! increments by other keys. Two keys with the same tag invalidate each other,
//! which only costs a miss.
//!
//! Generations are common to all shards, because a message carries the hash of a
//! key. Above them each shard has a generation over all of its keys; see
//! `trust/shard_trust.rs`.

use std::sync::Arc;

use super::super::runtime::clock::Moment;
use super::super::runtime::sync::atomic::{AtomicU64, Ordering};
use super::shard_trust::{ShardTable, ShardTrust};

/// 256 KiB. A local hit reads one of them, so they share the CPU cache with the
/// entries.
const STRIPES: usize = 1 << 15;

/// The generations that local entries are checked against.
pub(crate) struct Generations {
    words: Box<[AtomicU64]>,
    shards: Arc<[ShardTrust]>,
}

/// A stripe: its generation in the lower bits, above it the tags of the keys
/// that incremented it, the latest lowest.
#[derive(Clone, Copy)]
struct Word(u64);

/// The bits of a generation; when it wraps around, everything is invalidated
/// once.
const GENERATION: u32 = 24;
/// The bits of a tag.
const TAG: u32 = 8;
const MAX_GENERATION: u32 = (1 << GENERATION) - 1;
/// The number of tags in a stripe.
const REMEMBERED: u32 = (u64::BITS - GENERATION) / TAG;

/// The generations of one key at one moment, in thirteen bytes, because every
/// entry stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(1))]
pub(crate) struct Stamp {
    generation: u32,
    shard_generation: u32,
    shard: u16,
    stripe: u16,
    tag: u8,
}

impl Stamp {
    /// Returns the number of its shard.
    #[inline]
    pub(crate) fn shard(self) -> usize {
        usize::from(self.shard)
    }

    /// Returns true if both were taken under one generation of one shard.
    pub(crate) fn shares_shard(self, other: Self) -> bool {
        (self.shard, self.shard_generation) == (other.shard, other.shard_generation)
    }
}

impl Word {
    #[inline]
    fn generation(self) -> u32 {
        self.0 as u32 & MAX_GENERATION
    }

    fn raised(self, tag: u8) -> Self {
        let tags = (self.0 >> GENERATION) << TAG | u64::from(tag);
        let generation = (self.generation() + 1) & MAX_GENERATION;
        Self(tags << GENERATION | u64::from(generation))
    }

    /// Returns true if no increment since the stamp was for its key.
    #[inline]
    fn passes(self, stamp: Stamp) -> bool {
        self.generation() == stamp.generation || self.passes_others(stamp)
    }

    /// Kept out of line, so that the usual hit stays short.
    #[cold]
    fn passes_others(self, stamp: Stamp) -> bool {
        let since = self.generation().wrapping_sub(stamp.generation) & MAX_GENERATION;
        let tag = |back| (self.0 >> (GENERATION + TAG * back)) as u8;
        since <= REMEMBERED && (0..since).all(|back| tag(back) != stamp.tag)
    }
}

impl std::fmt::Debug for Generations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Generations")
            .finish_non_exhaustive()
    }
}

impl Generations {
    pub(crate) fn new(shards: &ShardTable) -> Self {
        Self::of(STRIPES, shards)
    }

    /// Creates generations of another number, a power of two.
    pub(crate) fn of(count: usize, shards: &ShardTable) -> Self {
        Self {
            words: (0..count).map(|_| AtomicU64::new(0)).collect(),
            shards: Arc::clone(shards.shards()),
        }
    }

    /// Creates generations of a shard that is always proved.
    #[cfg(test)]
    pub(crate) fn of_memory() -> Self {
        Self::new(&ShardTable::always())
    }

    /// Returns the stripe of a key, by its hash, and its tag there.
    fn place(&self, hash: u64) -> (u16, u8) {
        let [low, high, tag, ..] = hash.to_le_bytes();
        let last = self.words.len() - 1;
        // The maximum number of generations.
        let last = u16::try_from(last).unwrap_or(u16::MAX);
        (u16::from_le_bytes([low, high]) & last, tag)
    }

    #[inline]
    fn word(&self, stripe: u16) -> Word {
        Word(self.words[usize::from(stripe)].load(Ordering::Acquire))
    }

    /// Returns the stamp of an entry of a shard, whose read begins now.
    pub(crate) fn stamp(&self, hash: u64, shard: u16) -> Stamp {
        let (stripe, tag) = self.place(hash);
        Stamp {
            stripe,
            tag,
            shard,
            generation: self.word(stripe).generation(),
            shard_generation: self.shards[usize::from(shard)].generation(),
        }
    }

    /// Returns true if the stamp may be that of a key, by its hash; false for all but
    /// one of 8 million other keys.
    pub(crate) fn may_be_of(&self, stamp: Stamp, hash: u64) -> bool {
        ({ stamp.stripe }, stamp.tag) == self.place(hash)
    }

    /// Returns the trust in each shard, by number.
    pub(crate) fn shards(&self) -> &Arc<[ShardTrust]> {
        &self.shards
    }

    /// Returns the trust in the shard of a stamp.
    #[inline]
    fn shard_of(&self, stamp: Stamp) -> &ShardTrust {
        &self.shards[stamp.shard()]
    }

    /// Returns true if nothing that may concern the key was invalidated since
    /// the stamp.
    #[inline]
    pub(crate) fn is_current(&self, stamp: Stamp) -> bool {
        self.is_current_in(self.shard_of(stamp), stamp)
    }

    /// The same for a caller that has the shard of the stamp at hand.
    #[inline]
    pub(crate) fn is_current_in(&self, shard: &ShardTrust, stamp: Stamp) -> bool {
        self.word(stamp.stripe).passes(stamp) && shard.generation() == stamp.shard_generation
    }

    /// Returns true if no increment of the stamp's stripe since then was for its key.
    #[inline]
    pub(crate) fn is_unheard(&self, stamp: Stamp) -> bool {
        self.word(stamp.stripe).passes(stamp)
    }

    /// Returns true if the shard of the stamp is proved, and nothing that may concern
    /// the key was invalidated since the stamp.
    #[inline]
    pub(crate) fn is_fresh(&self, stamp: Stamp, now: Moment) -> bool {
        // The proof before the generations, as for every local hit.
        let shard = self.shard_of(stamp);
        shard.is_synced(now) && self.is_current_in(shard, stamp)
    }

    /// Invalidates a key, and keys of its stripe with the same tag.
    pub(crate) fn invalidate(&self, hash: u64) {
        let (stripe, tag) = self.place(hash);
        self.increment(stripe, tag, |_| true);
    }

    /// Increments a stripe with a tag if `fit` accepts its word. Returns the
    /// new generation.
    fn increment(&self, stripe: u16, tag: u8, fit: impl Fn(Word) -> bool) -> Option<u32> {
        let raise = |word| {
            let word = Word(word);
            let fits = fit(word);
            // Entries of the generations that will be reused must be invalid by
            // another sign before the first reuse.
            if fits && word.generation() == MAX_GENERATION {
                self.invalidate_all();
            }
            fits.then(|| word.raised(tag).0)
        };
        let word = &self.words[usize::from(stripe)];
        let raised = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, raise);
        raised
            .ok()
            .map(|before| Word(before).raised(tag).generation())
    }

    /// Invalidates the key of a stamp except for the copy that has the stamp,
    /// and returns a new stamp for that copy. Returns `None`, and invalidates
    /// nothing, if the key was invalidated before.
    pub(crate) fn renew(&self, stamp: Stamp) -> Option<Stamp> {
        let current = |word: Word| word.generation() < MAX_GENERATION && word.passes(stamp);
        let generation = self.increment(stamp.stripe, stamp.tag, current)?;
        Some(Stamp {
            generation,
            ..stamp
        })
    }

    /// Invalidates everything of every shard, because of a message.
    pub(crate) fn invalidate_all(&self) {
        for shard in &*self.shards {
            shard.invalidate_all();
        }
    }

    /// Returns since when a copy with the stamp may be stale; `None` if a
    /// message since then may concern it. `proved` is the date of the last
    /// proof, read before.
    pub(crate) fn proved(&self, stamp: Stamp, proved: Moment) -> Option<Moment> {
        let is_unheard = || self.word(stamp.stripe).passes(stamp);
        self.shard_of(stamp)
            .proved_under(stamp.shard_generation, proved, is_unheard)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reused_generation_revives_nothing() {
        let generations = Generations::of_memory();
        let old = generations.stamp(7, 0);
        generations.words[7].store(MAX_GENERATION.into(), Ordering::Release);
        generations.invalidate(7);
        assert_eq!({ generations.stamp(7, 0).generation }, { old.generation });
        assert!(!generations.is_current(old));
    }

    #[test]
    fn a_stamp_taken_before_an_invalidation_is_invalid() {
        let generations = Generations::of_memory();
        let before = generations.stamp(7, 0);
        generations.invalidate(7);
        assert!(!generations.is_current(before));
        assert!(generations.is_current(generations.stamp(7, 0)));
    }

    #[test]
    fn an_entry_survives_other_keys_of_its_stripe_only() {
        let key = |tag: u64| 7 | tag << 16;
        let generations = Generations::of_memory();
        let held = generations.stamp(key(1), 0);
        for other in 2..2 + u64::from(REMEMBERED) {
            generations.invalidate(key(other));
            assert!(generations.is_current(held), "after {other}");
        }
        // The first tag has been replaced.
        generations.invalidate(key(9));
        assert!(!generations.is_current(held));

        for before in 0..8 {
            let generations = Generations::of_memory();
            let held = generations.stamp(key(1), 0);
            for at in 0..16 {
                generations.invalidate(key(if at == before { 1 } else { 2 }));
                assert!(at < before || !generations.is_current(held));
            }
        }
    }

    #[test]
    fn a_lost_connection_keeps_its_date_until_a_message() {
        let (early, late) = (Moment::from_millis(1), Moment::from_millis(2));
        let table = ShardTable::new(Duration::MAX);
        let shard = table.take().unwrap();
        let generations = Generations::new(&table);
        let (one, other) = (generations.stamp(1, 0), generations.stamp(2, 0));
        assert_eq!(generations.proved(one, late), Some(late));
        shard.prove(early);
        shard.lose_touch();
        assert!(!generations.is_current(one));
        assert_eq!(generations.proved(one, late), Some(early));
        generations.invalidate(1);
        assert_eq!(generations.proved(one, late), None);
        assert_eq!(generations.proved(other, late), Some(early));
        generations.invalidate_all();
        assert_eq!(generations.proved(other, late), None);
    }

    #[test]
    fn renewing_a_stamp_spares_the_rest_of_its_stripe() {
        let generations = Generations::of_memory();
        let (kept, passing) = (generations.stamp(1, 0), generations.stamp(1, 0));
        let renewed = generations.renew(kept).unwrap();
        assert!(generations.is_current(renewed) && !generations.is_current(passing));
        assert_eq!(generations.renew(passing), None);
    }

    #[test]
    fn invalidating_all_reaches_every_stripe() {
        let generations = Generations::of_memory();
        let (one, other) = (generations.stamp(1, 0), generations.stamp(2, 0));
        generations.invalidate_all();
        assert!(!generations.is_current(one) && !generations.is_current(other));
    }
}
