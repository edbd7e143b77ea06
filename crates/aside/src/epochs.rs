//! Epochs: forgetting a whole kind at once.
//!
//! Every kind has an epoch, the moment at which all of it was last forgotten,
//! in milliseconds of the server's clock. Values are stamped with the epoch
//! that was known before they were asked for, and one of an older epoch is not
//! served, neither from Redis nor in process. So forgetting a kind is raising
//! one number, however many keys there are; freeing their memory comes later.
//!
//! The numbers stand in one hash in Redis. Instances learn a new one from its
//! message, and from the watcher, which reads the hash with every PING. A
//! number is adopted only if it is greater: a hash that was lost, or came back
//! older, is raised again beyond what anybody knew.
//!
//! An epoch in the name of the key was refused: a writer that knows the old
//! name would quarantine a key that no reader of the new one looks at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

/// The epochs that this instance knows, of kinds cached here and of others.
#[derive(Debug, Default)]
pub(crate) struct Epochs {
    known: RwLock<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Epochs {
    /// The epoch of a kind, as it is known and will be; zero until then.
    pub(crate) fn of(&self, kind: &str) -> Arc<AtomicU64> {
        if let Some(epoch) = self.known.read().get(kind) {
            return Arc::clone(epoch);
        }
        let mut known = self.known.write();
        Arc::clone(known.entry(kind.to_owned()).or_default())
    }

    /// What is known of a kind; zero for nothing.
    pub(crate) fn known(&self, kind: &str) -> u64 {
        self.of(kind).load(Ordering::Acquire)
    }

    /// Learns an epoch, unless a greater one is known.
    pub(crate) fn adopt(&self, kind: &str, epoch: u64) {
        self.of(kind).fetch_max(epoch, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_never_goes_back() {
        let epochs = Epochs::default();
        let held = epochs.of("hero");
        assert_eq!(epochs.known("hero"), 0);
        epochs.adopt("hero", 7);
        epochs.adopt("hero", 5);
        assert_eq!(held.load(Ordering::Acquire), 7);
        assert_eq!(epochs.known("child"), 0);
    }
}
