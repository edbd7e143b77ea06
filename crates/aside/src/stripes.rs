//! Forgetting without looking anything up: one counter per stripe of keys.
//!
//! Every in-process entry remembers the generation its stripe had *before*
//! the read that brought it was sent. To forget a key is to raise its
//! stripe's generation: whatever was held under the old one is dead, and so is
//! an insert still on its way, without any lock to race for. Two keys that
//! share a stripe forget together, which costs a miss and nothing else.
//!
//! The connection generation is a stripe over everything: it is raised when
//! messages may have been missed.

use std::sync::atomic::{AtomicU64, Ordering};

/// A power of two; 512 KiB of counters.
const STRIPES: usize = 65_536;

/// The generations that in-process entries are checked against.
pub(crate) struct Stripes {
    generations: Box<[AtomicU64]>,
    connection: AtomicU64,
}

/// The generations of one key at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    stripe: u32,
    generation: u64,
    connection: u64,
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
        Self {
            generations: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            connection: AtomicU64::new(0),
        }
    }

    /// The stamp that an entry gets if it is read from now on.
    pub(crate) fn stamp(&self, hash: u64) -> Stamp {
        // The remainder is below 65,536.
        #[allow(clippy::cast_possible_truncation)]
        let stripe = (hash % STRIPES as u64) as u32;
        Stamp {
            stripe,
            generation: self.generations[stripe as usize].load(Ordering::Acquire),
            connection: self.connection.load(Ordering::Acquire),
        }
    }

    /// Whether nothing was forgotten since the stamp was taken.
    pub(crate) fn is_current(&self, stamp: Stamp) -> bool {
        self.generations[stamp.stripe as usize].load(Ordering::Acquire) == stamp.generation
            && self.connection.load(Ordering::Acquire) == stamp.connection
    }

    /// Forgets every entry of the key's stripe.
    pub(crate) fn forget(&self, hash: u64) {
        #[allow(clippy::cast_possible_truncation)]
        let stripe = (hash % STRIPES as u64) as usize;
        self.generations[stripe].fetch_add(1, Ordering::AcqRel);
    }

    /// Forgets everything: messages may have been missed.
    pub(crate) fn forget_all(&self) {
        self.connection.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_taken_before_the_forgetting_is_dead_on_arrival() {
        let stripes = Stripes::new();
        let before = stripes.stamp(7);
        stripes.forget(7);
        assert!(!stripes.is_current(before));
        assert!(stripes.is_current(stripes.stamp(7)));
    }

    #[test]
    fn forgetting_all_reaches_every_stripe() {
        let stripes = Stripes::new();
        let (one, other) = (stripes.stamp(1), stripes.stamp(2));
        stripes.forget_all();
        assert!(!stripes.is_current(one) && !stripes.is_current(other));
    }
}
