//! Division of the memory for local entries.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::LocalTier;
use crate::entity::Entity;

/// Divides the memory for local entries among the kinds.
pub(crate) struct Shares {
    capacity_bytes: u64,
    stores: Mutex<BTreeMap<&'static str, Share>>,
}

/// The store of one kind, and its relative share.
struct Share {
    parts: u32,
    store: Weak<dyn Store>,
}

/// A store of any kind.
pub(super) trait Store: Send + Sync {
    fn set_capacity(&self, bytes: u64);
    /// Removes all entries.
    fn empty(&self);
}

impl Shares {
    pub(crate) fn new(capacity_bytes: usize) -> Self {
        Self {
            capacity_bytes: capacity_bytes as u64,
            stores: Mutex::default(),
        }
    }

    /// Gives the store of a kind of this name its share and shrinks the other
    /// shares. The kind's previous store gets none.
    pub(crate) fn admit<E: Entity>(
        &self,
        name: &'static str,
        parts: u32,
        store: &Arc<LocalTier<E>>,
    ) {
        let mut stores = self.stores.lock();
        let store: Weak<dyn Store> = Arc::downgrade(store) as _;
        if let Some(before) = stores.insert(name, Share { parts, store })
            && let Some(before) = before.store.upgrade()
        {
            before.set_capacity(0);
        }
        stores.retain(|_, share| 0 < share.store.strong_count());
        let total: u64 = stores.values().map(|share| u64::from(share.parts)).sum();
        for share in stores.values() {
            if let Some(store) = share.store.upgrade() {
                let part = u128::from(self.capacity_bytes) * u128::from(share.parts);
                let part = part / u128::from(total.max(1));
                store.set_capacity(u64::try_from(part).unwrap_or(u64::MAX));
            }
        }
    }
}

impl Shares {
    /// Removes the local entries of every kind.
    pub(crate) fn empty(&self) {
        let stores: Vec<_> = {
            let stores = self.stores.lock();
            let stores = stores.values().filter_map(|share| share.store.upgrade());
            stores.collect()
        };
        stores.iter().for_each(|store| store.empty());
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shares")
            .field("capacity_bytes", &self.capacity_bytes)
            .finish_non_exhaustive()
    }
}
