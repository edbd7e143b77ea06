//! Forgetting without looking anything up: one counter per stripe of keys.
//!
//! Every in-process entry remembers the generation its stripe had *before*
//! the read that brought it was sent. To forget a key is to raise its
//! stripe's generation: whatever was held under the old one is dead, and so is
//! an insert still on its way, without any lock to race for.
//!
//! Keys share stripes, and where all of a stripe were forgotten with any, an
//! update would cost a read of every row that shares its stripe. So a stripe
//! remembers a tag of each of the keys that raised it last, and an entry outlives
//! as many that were not its own. Two keys of one tag forget together, which
//! costs a miss and nothing else.
//!
//! The connection generation is a stripe over everything: it is raised when
//! messages may have been missed, and when one may mean anything. It has 32 bits,
//! since every entry has one, and comes round. So twice a round everything that is
//! held is thrown away for good (`Tiers::end_round`): what was held half a round
//! ago is nowhere when its generation comes again.

use super::super::runtime::clock::Moment;
use super::super::runtime::sync::Mutex;
use super::super::runtime::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use super::proofs::Proofs;

/// 256 KiB. A hit in process looks at one of them, so they share the processor's
/// cache with the entries.
const STRIPES: usize = 1 << 15;

/// The generations that in-process entries are checked against.
pub(crate) struct Stripes {
    words: Box<[AtomicU64]>,
    connection: AtomicU32,
    /// Of earlier connection generations. Locked by who ends one.
    proofs: Mutex<Proofs>,
}

/// What stands in a stripe: its generation in the lower bits, and above it the
/// tags of the keys that raised it, the last one lowest.
#[derive(Clone, Copy)]
struct Word(u64);

/// Bits of a generation; when it has been raised through all of them, everything
/// is forgotten once.
const GENERATION: u32 = 24;
/// Bits of a tag.
const TAG: u32 = 8;
const MOST: u32 = (1 << GENERATION) - 1;
/// How many tags there is room for.
const REMEMBERED: u32 = (u64::BITS - GENERATION) / TAG;

/// The generations of one key at one moment; eleven bytes, since every entry has
/// one.
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

    /// Whether nothing of the stamp's key has raised the stripe since.
    #[inline]
    fn passes(self, stamp: Stamp) -> bool {
        self.generation() == stamp.generation || self.passes_others(stamp)
    }

    /// Out of the way of the hit that nothing has happened to.
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

    /// Stripes of another number, a power of two.
    pub(crate) fn of(count: usize) -> Self {
        Self {
            words: (0..count).map(|_| AtomicU64::new(0)).collect(),
            connection: AtomicU32::new(0),
            proofs: Mutex::default(),
        }
    }

    /// Which half of a round the connection generation is in.
    pub(crate) fn half(&self) -> u32 {
        self.connection.load(Ordering::Acquire) >> (u32::BITS - 1)
    }

    /// As if so many connection generations had been.
    #[cfg(test)]
    pub(crate) fn skip_to(&self, connection: u32) {
        self.connection.store(connection, Ordering::Release);
    }

    /// Which stripe a key belongs to, by its hash, and its tag there.
    fn place(&self, hash: u64) -> (u16, u8) {
        let [low, high, tag, ..] = hash.to_le_bytes();
        let last = self.words.len() - 1;
        // No more than all the stripes that there may be.
        let last = u16::try_from(last).unwrap_or(u16::MAX);
        (u16::from_le_bytes([low, high]) & last, tag)
    }

    #[inline]
    fn word(&self, stripe: u16) -> Word {
        Word(self.words[usize::from(stripe)].load(Ordering::Acquire))
    }

    /// The stamp that an entry gets if it is read from now on.
    pub(crate) fn stamp(&self, hash: u64) -> Stamp {
        let (stripe, tag) = self.place(hash);
        Stamp {
            stripe,
            tag,
            generation: self.word(stripe).generation(),
            connection: self.connection.load(Ordering::Acquire),
        }
    }

    /// Whether nothing that may mean the key was forgotten since the stamp was
    /// taken.
    #[inline]
    pub(crate) fn is_current(&self, stamp: Stamp) -> bool {
        self.word(stamp.stripe).passes(stamp)
            && self.connection.load(Ordering::Acquire) == stamp.connection
    }

    /// Forgets a key, and what shares its stripe and its tag.
    pub(crate) fn forget(&self, hash: u64) {
        let (stripe, tag) = self.place(hash);
        self.raise(stripe, tag, |_| true);
    }

    /// Raises a stripe in the name of a tag if what stands there is `fit`;
    /// answers its new generation.
    fn raise(&self, stripe: u16, tag: u8, fit: impl Fn(Word) -> bool) -> Option<u32> {
        let raise = |word| {
            let word = Word(word);
            let fits = fit(word);
            // What was held under the generations that will come again must be
            // dead by another sign before the first of them does.
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

    /// Forgets the key of a stamp but for what has the stamp, for which a new one
    /// is given; `None`, and nothing is forgotten, if it had been forgotten
    /// before.
    pub(crate) fn renew(&self, stamp: Stamp) -> Option<Stamp> {
        let current = |word: Word| word.generation() < MOST && word.passes(stamp);
        let generation = self.raise(stamp.stripe, stamp.tag, current)?;
        Some(Stamp {
            generation,
            ..stamp
        })
    }

    /// Forgets everything, because of what was heard.
    pub(crate) fn forget_all(&self) {
        let mut proofs = self.proofs.lock();
        proofs.heard();
        self.connection.fetch_add(1, Ordering::AcqRel);
    }

    /// Forgets everything, because messages may have been missed since the
    /// proof given at `proved`.
    pub(crate) fn lose_touch(&self, proved: Moment) {
        let mut proofs = self.proofs.lock();
        let ended = self.connection.fetch_add(1, Ordering::AcqRel);
        proofs.deaf(ended, proved);
    }

    /// Since when what has the stamp may be behind; `None` if something was
    /// heard since that may mean it. `proved` is the date of the last proof,
    /// looked up before.
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
    fn a_generation_that_comes_again_brings_nothing_back() {
        let stripes = Stripes::new();
        let old = stripes.stamp(7);
        stripes.words[7].store(MOST.into(), Ordering::Release);
        stripes.forget(7);
        assert_eq!({ stripes.stamp(7).generation }, { old.generation });
        assert!(!stripes.is_current(old));
    }

    #[test]
    fn a_stamp_taken_before_the_forgetting_is_dead_on_arrival() {
        let stripes = Stripes::new();
        let before = stripes.stamp(7);
        stripes.forget(7);
        assert!(!stripes.is_current(before));
        assert!(stripes.is_current(stripes.stamp(7)));
    }

    #[test]
    fn an_entry_outlives_some_of_the_others_of_its_stripe_and_never_itself() {
        let key = |tag: u64| 7 | tag << 16;
        let stripes = Stripes::new();
        let held = stripes.stamp(key(1));
        for other in 2..2 + u64::from(REMEMBERED) {
            stripes.forget(key(other));
            assert!(stripes.is_current(held), "after {other}");
        }
        // Who was the first is not known any more.
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
    fn who_went_deaf_knows_since_when_until_something_is_heard() {
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
    fn a_stamp_is_renewed_while_the_others_of_its_stripe_pass() {
        let stripes = Stripes::new();
        let (kept, passing) = (stripes.stamp(1), stripes.stamp(1));
        let renewed = stripes.renew(kept).unwrap();
        assert!(stripes.is_current(renewed) && !stripes.is_current(passing));
        assert_eq!(stripes.renew(passing), None);
    }

    #[test]
    fn forgetting_all_reaches_every_stripe() {
        let stripes = Stripes::new();
        let (one, other) = (stripes.stamp(1), stripes.stamp(2));
        stripes.forget_all();
        assert!(!stripes.is_current(one) && !stripes.is_current(other));
    }
}
