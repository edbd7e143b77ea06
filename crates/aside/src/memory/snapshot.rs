//! A server that remembers and forgets: what a simulated one is made of.

use std::collections::HashMap;

use super::store::Store;
use super::{History, MemoryTier};
use crate::entity::key::Key;

/// Everything that was held at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    store: Store,
    epochs: HashMap<(Key, String), u64>,
    histories: HashMap<Key, History>,
}

impl MemoryTier {
    /// Everything that is held now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        Snapshot {
            store: inner.store.clone(),
            epochs: inner.epochs.clone(),
            histories: inner.histories.clone(),
        }
    }

    /// Goes back to what was held then; who listens still does.
    pub(crate) fn restore(&self, snapshot: Snapshot) {
        let mut inner = self.inner.lock();
        inner.store = snapshot.store;
        inner.epochs = snapshot.epochs;
        inner.histories = snapshot.histories;
    }

    /// Forgets every epoch, as a server does that evicts their hash.
    pub(crate) fn forget_epochs(&self) {
        let mut inner = self.inner.lock();
        inner.epochs.clear();
        inner.histories.clear();
    }

    /// Puts an epoch under a key, unless there is one; whether it did.
    pub(crate) fn put_epoch(&self, key: &Key, kind: &str, epoch: u64) -> bool {
        let mut inner = self.inner.lock();
        let under = (key.clone(), kind.to_owned());
        let is_new = !inner.epochs.contains_key(&under);
        inner.epochs.entry(under).or_insert(epoch);
        is_new
    }

    /// What a field of the hash of the epochs holds.
    pub(crate) fn field_under(&self, key: &Key, field: &str) -> Option<String> {
        let inner = self.inner.lock();
        if field == "aside" {
            return Some(inner.histories.get(key)?.era?.to_string());
        }
        let epoch = inner.epochs.get(&(key.clone(), field.to_owned()))?;
        Some(format!("{epoch:013}"))
    }

    /// What time it is here, in milliseconds.
    pub(crate) fn time(&self) -> u64 {
        self.clock.now()
    }
}
