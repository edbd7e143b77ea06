//! A server that remembers and forgets: what a simulated one is made of.

use std::collections::HashMap;

use super::MemoryTier;
use super::store::Store;
use crate::key::Key;

/// Everything that was held at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    store: Store,
    epochs: HashMap<(Key, String), u64>,
}

impl MemoryTier {
    /// Everything that is held now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        Snapshot {
            store: inner.store.clone(),
            epochs: inner.epochs.clone(),
        }
    }

    /// Goes back to what was held then; who listens still does.
    pub(crate) fn restore(&self, snapshot: Snapshot) {
        let mut inner = self.inner.lock();
        inner.store = snapshot.store;
        inner.epochs = snapshot.epochs;
    }

    /// Forgets every epoch, as a server does that evicts their hash.
    pub(crate) fn forget_epochs(&self) {
        self.inner.lock().epochs.clear();
    }

    /// Puts an epoch under a key, unless there is one; whether it did.
    pub(crate) fn put_epoch(&self, key: &Key, kind: &str, epoch: u64) -> bool {
        let mut inner = self.inner.lock();
        let under = (key.clone(), kind.to_owned());
        let is_new = !inner.epochs.contains_key(&under);
        inner.epochs.entry(under).or_insert(epoch);
        is_new
    }

    /// The epochs under a key, in the order of the kinds.
    pub(crate) fn epochs_under(&self, key: &Key) -> Vec<(String, u64)> {
        let inner = self.inner.lock();
        let under = inner.epochs.iter().filter(|((under, _), _)| under == key);
        let mut epochs: Vec<_> = under
            .map(|((_, kind), epoch)| (kind.clone(), *epoch))
            .collect();
        epochs.sort_unstable();
        epochs
    }
}
