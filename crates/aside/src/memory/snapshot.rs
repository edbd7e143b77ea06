//! Snapshots, with which the simulation makes a server lose or restore data.

use std::collections::HashMap;

use super::store::Store;
use super::{History, MemoryTier};
use crate::entity::key::Key;

/// All state at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    store: Store,
    epochs: HashMap<(Key, String), u64>,
    histories: HashMap<Key, History>,
}

impl MemoryTier {
    /// Copies the current state.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let inner = self.inner.lock();
        Snapshot {
            store: inner.store.clone(),
            epochs: inner.epochs.clone(),
            histories: inner.histories.clone(),
        }
    }

    /// Restores a snapshot; subscriptions stay.
    pub(crate) fn restore(&self, snapshot: Snapshot) {
        let mut inner = self.inner.lock();
        inner.store = snapshot.store;
        inner.epochs = snapshot.epochs;
        inner.histories = snapshot.histories;
    }

    /// Removes every epoch, as a server does that evicts their hash.
    pub(crate) fn forget_epochs(&self) {
        let mut inner = self.inner.lock();
        inner.epochs.clear();
        inner.histories.clear();
    }

    /// Stores an epoch, unless there is one. Returns true if it was stored.
    pub(crate) fn put_epoch(&self, key: &Key, kind: &str, epoch: u64) -> bool {
        let mut inner = self.inner.lock();
        let under = (key.clone(), kind.to_owned());
        let is_new = !inner.epochs.contains_key(&under);
        inner.epochs.entry(under).or_insert(epoch);
        is_new
    }

    /// Returns a field of the hash of epochs.
    pub(crate) fn field_under(&self, key: &Key, field: &str) -> Option<String> {
        let inner = self.inner.lock();
        if field == "aside" {
            return Some(inner.histories.get(key)?.era?.to_string());
        }
        let epoch = inner.epochs.get(&(key.clone(), field.to_owned()))?;
        Some(format!("{epoch:013}"))
    }

    /// Returns the tier's time, in milliseconds.
    pub(crate) fn time(&self) -> u64 {
        self.clock.now()
    }
}
