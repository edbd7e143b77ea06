//! Epochs: forgetting a whole kind at once.
//!
//! Every kind has an epoch, the moment at which all of it was last forgotten,
//! in milliseconds of the server's clock. Values are stamped with the epoch
//! that was known before they were asked for, and one of an older epoch is not
//! served, neither from Redis nor in process. So forgetting a kind is raising
//! one number, however many keys there are; freeing their memory comes later.
//!
//! The numbers stand in one hash in Redis. Instances learn a new one from its
//! message, and from the watcher, which reads the fields of its kinds with every
//! PING. A number is adopted only if it is greater: a hash that was lost, or came
//! back older, is raised again beyond what anybody knew.
//!
//! Nor is it adopted if it is more than a minute ahead of the server's clock. No
//! server wrote such a one, or one whose clock was wrong, and it would make every
//! value of the kind worthless until that time comes.
//!
//! An epoch that is not believed any more cannot simply be lowered: what it made
//! worthless would be worth something again. So the same hash names an *era*, at
//! random, which is part of the history that values are stamped with. The script
//! that finds an epoch which it cannot have written begins another era in the same
//! step, and no value of an earlier era is served. A database that went back does
//! the same, since it concerns kinds that no instance here may know.
//!
//! An epoch in the name of the key was refused: a writer that knows the old
//! name would quarantine a key that no reader of the new one looks at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::protocol::value::EPOCH_AHEAD_MILLIS;

/// The last moment that a header has room for, in the year 2286.
const LAST: u64 = 9_999_999_999_999;

/// The epochs that this instance knows, of the kinds cached here.
#[derive(Debug)]
pub(crate) struct Epochs {
    known: RwLock<BTreeMap<&'static str, Arc<AtomicU64>>>,
    /// What no epoch can be later than, by the server's clock.
    latest: AtomicU64,
}

/// An epoch that no server can have given now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Implausible;

impl Epochs {
    /// Nothing is plausible before the clock of a server is known; a tier in this
    /// process has no other clock.
    pub(crate) fn new(of_server: bool) -> Self {
        Self {
            known: RwLock::default(),
            latest: AtomicU64::new(if of_server { 0 } else { LAST }),
        }
    }

    /// The epoch of a kind that is cached here, as it is known and will be; zero
    /// until then.
    pub(crate) fn of(&self, kind: &'static str) -> Arc<AtomicU64> {
        let mut known = self.known.write();
        Arc::clone(known.entry(kind).or_default())
    }

    /// What is known of a kind; zero for nothing yet, `None` for a kind that is
    /// not cached here.
    pub(crate) fn known(&self, kind: &str) -> Option<u64> {
        let known = self.known.read();
        Some(known.get(kind)?.load(Ordering::Acquire))
    }

    /// Learns an epoch, unless a greater one is known, or the kind is not cached
    /// here.
    pub(crate) fn adopt(&self, kind: &str, epoch: u64) -> Result<(), Implausible> {
        if !self.is_plausible(epoch) {
            return Err(Implausible);
        }
        if let Some(known) = self.known.read().get(kind) {
            known.fetch_max(epoch, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Whether a server can have given this epoch.
    pub(crate) fn is_plausible(&self, epoch: u64) -> bool {
        epoch <= self.latest.load(Ordering::Acquire)
    }

    /// Learns what time the server has, in milliseconds.
    pub(crate) fn learn_time(&self, now: u64) {
        let latest = now.saturating_add(EPOCH_AHEAD_MILLIS).min(LAST);
        self.latest.store(latest, Ordering::Release);
    }

    /// Forgets epochs that are not plausible any more, since the server's clock
    /// was set right. For the beginning of an era alone; see above.
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
    fn an_epoch_of_a_clock_that_was_ahead_is_forgotten() {
        let epochs = epochs();
        epochs.of("hero");
        epochs.adopt("hero", 1_050_000).unwrap();
        epochs.learn_time(10_000);
        epochs.forget_implausible();
        assert_eq!(epochs.known("hero"), Some(0));
    }
}
