//! The map: which shard owns a key.
//!
//! A single primary owns every key. In a cluster each of 16,384 slots belongs to
//! one node, and a key to the slot of its CRC. A map never changes: another one
//! takes its place, and a caller uses one map from beginning to end.

use std::sync::Arc;

use aside_redis::cluster::{SLOTS, slot_of};
#[cfg(not(test))]
use tokio::sync::watch;

use crate::entity::key::Key;
use crate::entity::namespace::Namespace;
#[cfg(test)]
use crate::runtime::simulated::watch;
use crate::tiers::pending::Pending;
use crate::tiers::shard::Shard;

/// The shards of a service, which change with its cluster.
#[derive(Clone)]
pub(crate) struct Shards(Arc<watch::Sender<Arc<ShardMap>>>);

impl Shards {
    pub(crate) fn new(map: ShardMap) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(map))))
    }

    /// Returns the shards at this moment.
    #[inline]
    pub(crate) fn get(&self) -> Arc<ShardMap> {
        Arc::clone(&self.0.borrow())
    }

    /// Replaces the map.
    pub(crate) fn set(&self, map: Arc<ShardMap>) {
        self.0.send_replace(map);
    }

    /// Returns the changes of the map from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<ShardMap>> {
        self.0.subscribe()
    }
}

/// All shards of a service at one moment.
pub(crate) struct ShardMap {
    shards: Vec<Arc<Shard>>,
    slots: Option<Slots>,
}

/// The owners of the slots of a cluster.
struct Slots {
    /// By slot; positions in the list of shards, or beyond it.
    owners: Box<[u16]>,
    /// True if every slot has an owner. Known beforehand, because each write asks.
    is_whole: bool,
    /// Takes the place of the owner of a slot without one.
    vacant: Arc<Shard>,
}

/// Some items of a list, with their places in it.
pub(crate) struct Part<T> {
    pub(crate) shard: Arc<Shard>,
    pub(crate) places: Vec<usize>,
    pub(crate) items: Vec<T>,
}

/// How many keys are tried for one in a slot of a shard: enough for one slot of all.
const OWN_KEYS: u32 = 200_000;

/// The owner of a slot that is closed.
pub(crate) const NO_OWNER: u16 = u16::MAX;

impl ShardMap {
    /// Creates the map of a shard that owns every key.
    pub(crate) fn single(shard: Shard) -> Self {
        Self {
            shards: vec![Arc::new(shard)],
            slots: None,
        }
    }

    /// Creates the map of a cluster. `owners` has a position in `shards` for each
    /// slot, or [`NO_OWNER`]; keys of such a slot belong to `vacant`, which is
    /// never usable.
    pub(crate) fn of_slots(
        shards: Vec<Arc<Shard>>,
        owners: Box<[u16]>,
        vacant: Arc<Shard>,
    ) -> Self {
        assert_eq!(owners.len(), usize::from(SLOTS), "one owner for each slot");
        let is_owned = |owner: &u16| usize::from(*owner) < shards.len();
        let is_whole = owners.iter().all(is_owned);
        Self {
            shards,
            slots: Some(Slots {
                owners,
                is_whole,
                vacant,
            }),
        }
    }

    /// Returns the shards that own slots.
    pub(crate) fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// Returns the shards, each with the number of its slots, by their lowest slots;
    /// without a cluster, the one shard with 0.
    pub(crate) fn by_lowest_slot(&self) -> Vec<(Arc<Shard>, usize)> {
        let Some(slots) = &self.slots else {
            return vec![(Arc::clone(&self.shards[0]), 0)];
        };
        let mut counts = vec![0; self.shards.len()];
        let mut order = Vec::with_capacity(counts.len());
        for owner in slots.owners.iter().map(|owner| usize::from(*owner)) {
            let Some(count) = counts.get_mut(owner) else {
                continue;
            };
            if *count == 0 {
                order.push(owner);
            }
            *count += 1;
        }
        let with_slots = |at: usize| (Arc::clone(&self.shards[at]), counts[at]);
        order.into_iter().map(with_slots).collect()
    }

    /// Returns true if this is the map of a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.slots.is_some()
    }

    /// Returns the shard that owns a key.
    #[inline]
    pub(crate) fn shard_of(&self, key: &Key) -> &Arc<Shard> {
        match &self.slots {
            None => &self.shards[0],
            Some(slots) => self.owner(slots, slot_of(key.as_str().as_bytes())),
        }
    }

    fn owner<'a>(&'a self, slots: &'a Slots, slot: u16) -> &'a Arc<Shard> {
        let owner = slots.owners[usize::from(slot)];
        let owner = self.shards.get(usize::from(owner));
        owner.unwrap_or(&slots.vacant)
    }

    /// Returns the shard that owns every key, if there is one.
    pub(crate) fn only(&self) -> Option<&Arc<Shard>> {
        self.slots.is_none().then(|| &self.shards[0])
    }

    /// Returns all shards, also that of the slots without an owner.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Shard>> {
        let vacant = self.slots.as_ref().map(|slots| &slots.vacant);
        self.shards.iter().chain(vacant)
    }

    /// Returns true if every key has a shard, and every shard may be used.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_whole() && self.shards.iter().all(|shard| shard.is_usable())
    }

    /// Returns true if a shard is one of these.
    pub(crate) fn has(&self, shard: &Shard) -> bool {
        self.all().any(|one| std::ptr::eq(&**one, shard))
    }

    /// Returns the shard whose queue takes a pending operation.
    pub(crate) fn shard_of_pending(&self, pending: &Pending) -> &Arc<Shard> {
        match (pending, self.shards.first()) {
            (Pending::Release { key, .. } | Pending::Abandon { key, .. }, _) => self.shard_of(key),
            // All shards must acknowledge it, so any of them will do.
            (Pending::WholeKind { .. }, Some(first)) => first,
            (Pending::WholeKind { .. }, None) => {
                let slots = self.slots.as_ref();
                &slots.expect("a single primary has a shard").vacant
            }
        }
    }

    /// Returns the node at this place.
    pub(crate) fn shard_at(&self, host: &str, port: u16) -> Option<&Arc<Shard>> {
        let is_at = |shard: &&Arc<Shard>| {
            let node = shard.node.as_ref();
            node.is_some_and(|node| node.is_at(host, port))
        };
        self.shards.iter().find(is_at)
    }

    /// Returns an unused key of the library itself in a slot of `shard`; `None` if it
    /// owns no slot.
    pub(crate) fn own_key(
        &self,
        shard: &Shard,
        namespace: Namespace<'_>,
        name: &str,
    ) -> Option<Key> {
        let plain = Key::new(&namespace.own_key(name));
        let is_its = |key: &Key| std::ptr::eq(&**self.shard_of(key), shard);
        if self.slots.is_none() {
            return Some(plain);
        }
        let numbered = |number: u32| Key::new(&namespace.own_key(&format!("{name}:{number}")));
        (0..OWN_KEYS).map(numbered).find(is_its)
    }

    /// Splits `items` by the shard that `shard_of` returns. Items without one are
    /// left out.
    pub(crate) fn split<'a, T>(
        &self,
        items: Vec<T>,
        shard_of: impl Fn(&T) -> Option<&'a Arc<Shard>>,
    ) -> Vec<Part<T>> {
        let mut parts: Vec<Part<T>> = Vec::new();
        for (place, item) in items.into_iter().enumerate() {
            let Some(shard) = shard_of(&item) else {
                continue;
            };
            let known = parts
                .iter()
                .position(|part| Arc::ptr_eq(&part.shard, shard));
            let at = known.unwrap_or_else(|| {
                parts.push(Part {
                    shard: Arc::clone(shard),
                    places: Vec::new(),
                    items: Vec::new(),
                });
                parts.len() - 1
            });
            parts[at].places.push(place);
            parts[at].items.push(item);
        }
        parts
    }

    /// Returns true if every slot has an owner.
    pub(crate) fn is_whole(&self) -> bool {
        self.slots.as_ref().is_none_or(|slots| slots.is_whole)
    }
}
