//! Epochs: invalidation of a whole kind at once.
//!
//! The epoch of a kind is the time of its last complete invalidation, in
//! milliseconds of the server's clock. A value is stamped with the epoch known
//! before it was requested. A value of an older epoch is not served, neither
//! from Redis nor locally. So invalidating a kind raises one number, however
//! many keys there are; memory is freed later.
//!
//! One hash in Redis holds all epochs. Instances learn a new one from its
//! message, and from the watcher, which reads the fields of its kinds with
//! every PING. An instance adopts only greater epochs. If the hash was lost or
//! restored to an older state, it is raised again above every known epoch.
//!
//! An epoch more than a minute ahead of the server's clock is not adopted
//! either. It comes from no server, or from one with a wrong clock, and would
//! make every value of the kind worthless until that time.
//!
//! An epoch that is no longer trusted cannot be lowered, because the values it
//! invalidated would be valid again. So the same hash holds an *era*, a random
//! number that is part of the history in every stamp. If the script finds an
//! epoch that it cannot have written, it begins another era in the same step,
//! and no value of an earlier era is served. A database that went back also
//! begins one, because it affects kinds that no instance may know.
//!
//! An epoch in the name of the key was rejected: a writer that knows the old
//! name would quarantine a key that readers of the new name do not use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::protocol::value::EPOCH_AHEAD_MILLIS;

/// The last moment that fits into a header, in the year 2286.
const LAST: u64 = 9_999_999_999_999;

/// The known epochs of the kinds cached here.
#[derive(Debug)]
pub(crate) struct Epochs {
    known: RwLock<BTreeMap<&'static str, Arc<AtomicU64>>>,
    /// How often one of them was raised.
    raises: AtomicU64,
    /// The latest plausible epoch, by the server's clock.
    latest: AtomicU64,
}

/// An epoch that no server can have given by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Implausible;

impl Epochs {
    /// Creates epochs, none of which is plausible until a server's clock is
    /// known. A tier inside this process has no other clock.
    pub(crate) fn new(of_server: bool) -> Self {
        Self {
            known: RwLock::default(),
            raises: AtomicU64::new(0),
            latest: AtomicU64::new(if of_server { 0 } else { LAST }),
        }
    }

    /// Returns the epoch of a kind cached here, updated as it changes; zero
    /// until it is known.
    pub(crate) fn of(&self, kind: &'static str) -> Arc<AtomicU64> {
        if let Some(known) = self.known.read().get(kind) {
            return Arc::clone(known);
        }
        let mut known = self.known.write();
        Arc::clone(known.entry(kind).or_default())
    }

    /// Returns the kinds cached here, and those that queries here depend on.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        self.known.read().keys().copied().collect()
    }

    /// Returns the known epoch of a kind: zero if none yet, `None` if the kind
    /// is not cached here.
    pub(crate) fn known(&self, kind: &str) -> Option<u64> {
        let known = self.known.read();
        Some(known.get(kind)?.load(Ordering::Acquire))
    }

    /// Adopts an epoch, unless a greater one is known, or the kind is not
    /// cached here.
    pub(crate) fn adopt(&self, kind: &str, epoch: u64) -> Result<(), Implausible> {
        if !self.is_plausible(epoch) {
            return Err(Implausible);
        }
        if self.known(kind).is_some_and(|known| known < epoch) {
            self.raise(kind, epoch);
        }
        Ok(())
    }

    /// Raises an epoch and counts that. Both are done under the lock: a second caller of
    /// `adopt` that finds the epoch raised must find it counted, too.
    #[cold]
    fn raise(&self, kind: &str, epoch: u64) {
        let known = self.known.write();
        if let Some(known) = known.get(kind)
            && known.fetch_max(epoch, Ordering::AcqRel) < epoch
        {
            // After the epoch itself, so that a reader of the new number sees it.
            self.raises.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns how often an epoch was raised. While the number is the same, no epoch is
    /// greater than it was.
    #[inline]
    pub(crate) fn raises(&self) -> u64 {
        self.raises.load(Ordering::Acquire)
    }

    /// Returns true if a server can have given this epoch.
    pub(crate) fn is_plausible(&self, epoch: u64) -> bool {
        epoch <= self.latest.load(Ordering::Acquire)
    }

    /// Records the server's time, in milliseconds.
    pub(crate) fn learn_time(&self, now: u64) {
        let latest = now.saturating_add(EPOCH_AHEAD_MILLIS).min(LAST);
        self.latest.store(latest, Ordering::Release);
    }

    /// Resets epochs that are no longer plausible after the server's clock was
    /// corrected. Only for the beginning of an era; see above.
    pub(crate) fn forget_implausible(&self) {
        for known in self.known.read().values() {
            let lower = |epoch| (!self.is_plausible(epoch)).then_some(0);
            let _ = known.fetch_update(Ordering::AcqRel, Ordering::Acquire, lower);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> Epochs {
        let epochs = Epochs::new(true);
        epochs.learn_time(1_000_000);
        epochs
    }

    #[test]
    fn an_epoch_never_goes_back() {
        let epochs = epochs();
        let held = epochs.of("hero");
        assert_eq!(epochs.known("hero"), Some(0));
        epochs.adopt("hero", 7).unwrap();
        epochs.adopt("hero", 5).unwrap();
        assert_eq!(held.load(Ordering::Acquire), 7);
    }

    #[test]
    fn an_epoch_that_two_tasks_learn_is_counted_before_either_returns() {
        let epochs = epochs();
        epochs.of("hero");
        let turns = AtomicU64::new(0);
        let uncounted = AtomicU64::new(0);
        let learn = || {
            for epoch in 1..=100_000 {
                turns.fetch_add(1, Ordering::AcqRel);
                // Both begin together: a yield would take too long for that.
                let mut spins = 0;
                while turns.load(Ordering::Acquire) < 2 * epoch {
                    spins += 1;
                    match spins < 2_000 {
                        true => std::hint::spin_loop(),
                        false => std::thread::yield_now(),
                    }
                }
                epochs.adopt("hero", epoch).unwrap();
                if epochs.raises() < epoch {
                    uncounted.fetch_add(1, Ordering::AcqRel);
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(learn);
            scope.spawn(learn);
        });
        assert_eq!(uncounted.into_inner(), 0);
        assert_eq!(epochs.raises(), 100_000);
    }

    #[test]
    fn an_epoch_of_a_kind_that_is_not_cached_here_is_not_kept() {
        let epochs = epochs();
        assert_eq!(epochs.adopt("child", 7), Ok(()));
        assert_eq!(epochs.known("child"), None);
    }

    #[test]
    fn an_epoch_far_ahead_of_the_server_is_not_adopted() {
        let epochs = epochs();
        epochs.of("hero");
        for ahead in [1_060_001, 9_999_999_999_999, u64::MAX] {
            assert_eq!(epochs.adopt("hero", ahead), Err(Implausible));
        }
        assert_eq!(epochs.known("hero"), Some(0));
        assert_eq!(epochs.adopt("hero", 1_060_000), Ok(()));
        let unknown = Epochs::new(true);
        assert_eq!(unknown.adopt("hero", 7), Err(Implausible));
    }

    #[test]
    fn no_epoch_has_more_digits_than_a_header() {
        let epochs = epochs();
        epochs.of("hero");
        epochs.learn_time(u64::MAX);
        assert_eq!(epochs.adopt("hero", LAST + 1), Err(Implausible));
    }

    #[test]
    fn an_epoch_of_a_clock_that_was_ahead_is_reset() {
        let epochs = epochs();
        epochs.of("hero");
        epochs.adopt("hero", 1_050_000).unwrap();
        epochs.learn_time(10_000);
        epochs.forget_implausible();
        assert_eq!(epochs.known("hero"), Some(0));
    }
}
