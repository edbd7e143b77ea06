//! Forgetting without looking anything up: one counter per stripe of keys.
//!
//! Every in-process entry remembers the generation its stripe had *before*
//! the read that brought it was sent. To forget a key is to raise its
//! stripe's generation: whatever was held under the old one is dead, and so is
//! an insert still on its way, without any lock to race for. Two keys that
//! share a stripe forget together, which costs a miss and nothing else.
//!
//! The connection generation is a stripe over everything: it is raised when
//! messages may have been missed, and when one may mean anything.

use super::clock::Moment;
use super::proofs::Proofs;
use super::sync::Mutex;
use super::sync::atomic::{AtomicU32, Ordering};

/// As many as a `u16` tells apart; 256 KiB of counters. A hit in process looks
/// at one of them, so they share the processor's cache with the entries, and
/// are as small as a generation can be: see `Stripes::forget`.
const STRIPES: usize = 1 << 16;

/// The generations that in-process entries are checked against.
pub(crate) struct Stripes {
    generations: Box<[AtomicU32]>,
    connection: AtomicU32,
    /// Of earlier connection generations. Locked by who ends one.
    proofs: Mutex<Proofs>,
}

/// The generations of one key at one moment; ten bytes, since every entry has
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(2))]
pub(crate) struct Stamp {
    generation: u32,
    connection: u32,
    stripe: u16,
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
            generations: (0..count).map(|_| AtomicU32::new(0)).collect(),
            connection: AtomicU32::new(0),
            proofs: Mutex::default(),
        }
    }

    /// Which stripe a key belongs to, by its hash.
    fn stripe(&self, hash: u64) -> u16 {
        let [low, high, ..] = hash.to_le_bytes();
        let last = self.generations.len() - 1;
        // No more than all the stripes that there may be.
        u16::from_le_bytes([low, high]) & u16::try_from(last).unwrap_or(u16::MAX)
    }

    /// The stamp that an entry gets if it is read from now on.
    pub(crate) fn stamp(&self, hash: u64) -> Stamp {
        let stripe = self.stripe(hash);
        Stamp {
            stripe,
            generation: self.generations[usize::from(stripe)].load(Ordering::Acquire),
            connection: self.connection.load(Ordering::Acquire),
        }
    }

    /// Whether nothing was forgotten since the stamp was taken.
    #[inline]
    pub(crate) fn is_current(&self, stamp: Stamp) -> bool {
        self.generations[usize::from(stamp.stripe)].load(Ordering::Acquire) == stamp.generation
            && self.connection.load(Ordering::Acquire) == stamp.connection
    }

    /// Forgets every entry of the key's stripe.
    pub(crate) fn forget(&self, hash: u64) {
        let generation = &self.generations[usize::from(self.stripe(hash))];
        // The closure always gives a number.
        let _ = generation.fetch_update(Ordering::AcqRel, Ordering::Acquire, |raised| {
            // What was held under the generations that will come again must be
            // dead by another sign before the first of them does.
            if raised == u32::MAX {
                self.forget_all();
            }
            Some(raised.wrapping_add(1))
        });
    }

    /// Forgets every entry of the stripe but one that has the stamp, for which
    /// a new stamp is given; `None`, and nothing is forgotten, if it had been
    /// forgotten before.
    pub(crate) fn renew(&self, stamp: Stamp) -> Option<Stamp> {
        let raised = stamp.generation.checked_add(1)?;
        self.generations[usize::from(stamp.stripe)]
            .compare_exchange(
                stamp.generation,
                raised,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .ok()?;
        Some(Stamp {
            generation: raised,
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
        let generation = &self.generations[usize::from(stamp.stripe)];
        let unheard = generation.load(Ordering::Acquire) == stamp.generation;
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
        stripes.generations[7].store(u32::MAX, Ordering::Release);
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
