//! Snapshots, with which the simulation makes a server lose or restore data.

use std::collections::HashMap;

use super::store::{Slot, Store};
use super::{History, MemoryTier};
use crate::entity::key::Key;

/// All state at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    store: Store,
    epochs: HashMap<(Key, String), u64>,
    histories: HashMap<Key, History>,
}

/// One key on its way to another server.
#[derive(Debug)]
pub(crate) struct Exported {
    slot: Option<Slot>,
    epochs: Vec<(String, u64)>,
    history: Option<History>,
}

impl Exported {
    pub(crate) fn is_quarantine(&self) -> bool {
        let slot = self.slot.as_ref();
        slot.is_some_and(|slot| slot.bytes.first() == Some(&b'Q'))
    }
}

impl MemoryTier {
    /// Returns what another server needs to have this key; `None` without the key.
    pub(crate) fn export(&self, key: &Key) -> Option<Exported> {
        let (mut inner, now) = (self.inner.lock(), self.clock.now());
        let epochs = inner.epochs.iter().filter(|((of, _), _)| of == key);
        let epochs = epochs.map(|((_, kind), epoch)| (kind.clone(), *epoch));
        let exported = Exported {
            epochs: epochs.collect(),
            history: inner.histories.get(key).cloned(),
            slot: inner.store.get(key, now).cloned(),
        };
        let is_there =
            exported.slot.is_some() || exported.history.is_some() || !exported.epochs.is_empty();
        is_there.then_some(exported)
    }

    /// Creates a key that another server had.
    pub(crate) fn import(&self, key: &Key, exported: Exported) {
        let mut inner = self.inner.lock();
        if let Some(slot) = exported.slot {
            let put = inner.store.put(key, slot.bytes, slot.expires);
            put.expect("a value that another server took");
        }
        let epochs = exported.epochs.into_iter();
        let epochs = epochs.map(|(kind, epoch)| ((key.clone(), kind), epoch));
        inner.epochs.extend(epochs);
        let history = exported.history.map(|history| (key.clone(), history));
        inner.histories.extend(history);
    }

    /// Removes a key, of any type.
    pub(crate) fn remove_all(&self, key: &Key) {
        let (mut inner, now) = (self.inner.lock(), self.clock.now());
        inner.store.remove(key, now);
        inner.epochs.retain(|(of, _), _| of != key);
        inner.histories.remove(key);
    }

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
