//! Generations: invalidation without a lookup, by striped counters.
//!
//! Each local entry stores the generation that its stripe had *before* its read
//! was sent. Invalidating a key increments the generation of its stripe.
//! Entries of older generations are then invalid, including inserts still in
//! progress, without a lock.
//!
//! Keys share stripes. If each invalidation affected all keys of a stripe, an
//! update would cost a read of every row in it. So a stripe remembers tags of
//! the last keys that incremented it, and an entry survives that many
//! increments by other keys. Two keys with the same tag invalidate each other,
//! which only costs a miss.
//!
//! The connection generation is a stripe over all keys. It is incremented if
//! messages may have been missed, or if a message may concern any key. It has
//! only 32 bits, because every entry stores it, and so it wraps around. Twice
//! per round all local entries are removed (`Tiers::end_round`), so none of
//! half a round ago is left when its generation returns.

use super::super::runtime::clock::Moment;
use super::super::runtime::sync::Mutex;
use super::super::runtime::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use super::proofs::Proofs;

/// 256 KiB. A local hit reads one of them, so they share the CPU cache with the
/// entries.
const STRIPES: usize = 1 << 15;

/// The generations that local entries are checked against.
pub(crate) struct Stripes {
    words: Box<[AtomicU64]>,
    connection: AtomicU32,
    /// Of earlier connection generations. Locked by the thread that ends one.
    proofs: Mutex<Proofs>,
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
const MOST: u32 = (1 << GENERATION) - 1;
/// The number of tags in a stripe.
const REMEMBERED: u32 = (u64::BITS - GENERATION) / TAG;

/// The generations of one key at one moment, in eleven bytes, because every
/// entry stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(1))]
pub(crate) struct Stamp {
    generation: u32,
    connection: u32,
    stripe: u16,
    tag: u8,
}

impl Word {
    #[inline]
    fn generation(self) -> u32 {
        self.0 as u32 & MOST
    }

    fn raised(self, tag: u8) -> Self {
        let tags = (self.0 >> GENERATION) << TAG | u64::from(tag);
        let generation = (self.generation() + 1) & MOST;
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
        let since = self.generation().wrapping_sub(stamp.generation) & MOST;
        let tag = |back| (self.0 >> (GENERATION + TAG * back)) as u8;
        since <= REMEMBERED && (0..since).all(|back| tag(back) != stamp.tag)
    }
}

impl std::fmt::Debug for Stripes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Stripes")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl Stripes {
    pub(crate) fn new() -> Self {
        Self::of(STRIPES)
    }

    /// Creates stripes of another number, a power of two.
    pub(crate) fn of(count: usize) -> Self {
        Self {
            words: (0..count).map(|_| AtomicU64::new(0)).collect(),
            connection: AtomicU32::new(0),
            proofs: Mutex::default(),
        }
    }

    /// Returns the half of a round that the connection generation is in.
    pub(crate) fn half(&self) -> u32 {
        self.connection.load(Ordering::Acquire) >> (u32::BITS - 1)
    }

    /// Sets the connection generation.
    #[cfg(test)]
    pub(crate) fn skip_to(&self, connection: u32) {
        self.connection.store(connection, Ordering::Release);
    }

    /// Returns the stripe of a key, by its hash, and its tag there.
    fn place(&self, hash: u64) -> (u16, u8) {
        let [low, high, tag, ..] = hash.to_le_bytes();
        let last = self.words.len() - 1;
        // The maximum number of stripes.
        let last = u16::try_from(last).unwrap_or(u16::MAX);
        (u16::from_le_bytes([low, high]) & last, tag)
    }

    #[inline]
    fn word(&self, stripe: u16) -> Word {
        Word(self.words[usize::from(stripe)].load(Ordering::Acquire))
    }

    /// Returns the stamp of an entry whose read begins now.
    pub(crate) fn stamp(&self, hash: u64) -> Stamp {
        let (stripe, tag) = self.place(hash);
        Stamp {
            stripe,
            tag,
            generation: self.word(stripe).generation(),
            connection: self.connection.load(Ordering::Acquire),
        }
    }

    /// Returns true if nothing that may concern the key was invalidated since
    /// the stamp.
    #[inline]
    pub(crate) fn is_current(&self, stamp: Stamp) -> bool {
        self.word(stamp.stripe).passes(stamp)
            && self.connection.load(Ordering::Acquire) == stamp.connection
    }

    /// Invalidates a key, and keys of its stripe with the same tag.
    pub(crate) fn forget(&self, hash: u64) {
        let (stripe, tag) = self.place(hash);
        self.raise(stripe, tag, |_| true);
    }

    /// Increments a stripe with a tag if `fit` accepts its word. Returns the
    /// new generation.
    fn raise(&self, stripe: u16, tag: u8, fit: impl Fn(Word) -> bool) -> Option<u32> {
        let raise = |word| {
            let word = Word(word);
            let fits = fit(word);
            // Entries of the generations that will be reused must be invalid by
            // another sign before the first reuse.
            if fits && word.generation() == MOST {
                self.forget_all();
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
        let current = |word: Word| word.generation() < MOST && word.passes(stamp);
        let generation = self.raise(stamp.stripe, stamp.tag, current)?;
        Some(Stamp {
            generation,
            ..stamp
        })
    }

    /// Invalidates everything, because of a message.
    pub(crate) fn forget_all(&self) {
        let mut proofs = self.proofs.lock();
        proofs.heard();
        self.connection.fetch_add(1, Ordering::AcqRel);
    }

    /// Invalidates everything, because messages may have been missed since the
    /// proof of `proved`.
    pub(crate) fn lose_touch(&self, proved: Moment) {
        let mut proofs = self.proofs.lock();
        let ended = self.connection.fetch_add(1, Ordering::AcqRel);
        proofs.deaf(ended, proved);
    }

    /// Returns since when a copy with the stamp may be stale; `None` if a
    /// message since then may concern it. `proved` is the date of the last
    /// proof, read before.
    pub(crate) fn proved(&self, stamp: Stamp, proved: Moment) -> Option<Moment> {
        let proofs = self.proofs.lock();
        let unheard = self.word(stamp.stripe).passes(stamp);
        if self.connection.load(Ordering::Acquire) == stamp.connection {
            unheard.then_some(proved)
        } else {
            unheard.then(|| proofs.of(stamp.connection)).flatten()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_generation_revives_nothing() {
        let stripes = Stripes::new();
        let old = stripes.stamp(7);
        stripes.words[7].store(MOST.into(), Ordering::Release);
        stripes.forget(7);
        assert_eq!({ stripes.stamp(7).generation }, { old.generation });
        assert!(!stripes.is_current(old));
    }

    #[test]
    fn a_stamp_taken_before_an_invalidation_is_invalid() {
        let stripes = Stripes::new();
        let before = stripes.stamp(7);
        stripes.forget(7);
        assert!(!stripes.is_current(before));
        assert!(stripes.is_current(stripes.stamp(7)));
    }

    #[test]
    fn an_entry_survives_other_keys_of_its_stripe_only() {
        let key = |tag: u64| 7 | tag << 16;
        let stripes = Stripes::new();
        let held = stripes.stamp(key(1));
        for other in 2..2 + u64::from(REMEMBERED) {
            stripes.forget(key(other));
            assert!(stripes.is_current(held), "after {other}");
        }
        // The first tag has been replaced.
        stripes.forget(key(9));
        assert!(!stripes.is_current(held));

        for before in 0..8 {
            let stripes = Stripes::new();
            let held = stripes.stamp(key(1));
            for at in 0..16 {
                stripes.forget(key(if at == before { 1 } else { 2 }));
                assert!(at < before || !stripes.is_current(held));
            }
        }
    }

    #[test]
    fn a_lost_connection_keeps_its_date_until_a_message() {
        let stripes = Stripes::new();
        let (early, late) = (Moment::from_millis(1), Moment::from_millis(2));
        let (one, other) = (stripes.stamp(1), stripes.stamp(2));
        assert_eq!(stripes.proved(one, late), Some(late));
        stripes.lose_touch(early);
        assert!(!stripes.is_current(one));
        assert_eq!(stripes.proved(one, late), Some(early));
        stripes.forget(1);
        assert_eq!(stripes.proved(one, late), None);
        assert_eq!(stripes.proved(other, late), Some(early));
        stripes.forget_all();
        assert_eq!(stripes.proved(other, late), None);
    }

    #[test]
    fn renewing_a_stamp_spares_the_rest_of_its_stripe() {
        let stripes = Stripes::new();
        let (kept, passing) = (stripes.stamp(1), stripes.stamp(1));
        let renewed = stripes.renew(kept).unwrap();
        assert!(stripes.is_current(renewed) && !stripes.is_current(passing));
        assert_eq!(stripes.renew(passing), None);
    }

    #[test]
    fn invalidating_all_reaches_every_stripe() {
        let stripes = Stripes::new();
        let (one, other) = (stripes.stamp(1), stripes.stamp(2));
        stripes.forget_all();
        assert!(!stripes.is_current(one) && !stripes.is_current(other));
    }
}
