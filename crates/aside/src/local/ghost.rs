//! A store of names alone, with the policy of the real one.

use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::key::PassThroughHasher;

/// The part of a store, real or not, for entries that were read again; the rest
/// is for new ones. With this fraction and multiples of `GRAIN_BYTES`, a change
/// of the capacity loses nothing to rounding.
pub(super) const HOT_ALLOCATION: f64 = 29.0 / 32.0;

/// The hashes of keys, and the sizes of entries that they would have.
pub(super) struct Ghost {
    names: Cache<u64, u32, Bytes, PassThroughHasher>,
    hits: u64,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, u32> for Bytes {
    fn weight(&self, _: &u64, bytes: &u32) -> u64 {
        u64::from(*bytes)
    }
}

impl Ghost {
    /// Creates a ghost of this capacity, which expects so many `names`.
    pub(super) fn new(bytes: u64, names: usize) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(names)
            .weight_capacity(bytes)
            .hot_allocation(HOT_ALLOCATION)
            .build()
            .expect("all are set");
        let hasher = PassThroughHasher::default();
        let lifecycle = DefaultLifecycle::default();
        Self {
            names: Cache::with_options(options, Bytes, hasher, lifecycle),
            hits: 0,
        }
    }

    pub(super) fn set_capacity(&mut self, bytes: u64) {
        self.names.set_capacity(bytes);
    }

    /// Returns the number of reads of names that it had.
    pub(super) fn hits(&self) -> u64 {
        self.hits
    }

    /// Records a read, and keeps the name.
    pub(super) fn read(&mut self, hash: u64, bytes: u64) {
        if self.names.get(&hash).is_some() {
            self.hits += 1;
        } else {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.names.insert(hash, bytes);
        }
    }
}
