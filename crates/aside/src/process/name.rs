//! The keys of the store, and how they are looked for.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

use foldhash::fast::RandomState;

use super::{Equivalent, SHARDS};
use crate::entity::Entity;
use crate::lookup::{Asked, Lookup};

/// A key of the store, which hashes as [`Sought`] does.
pub(super) struct Name<E: Entity>(pub(super) Lookup<E>);

/// What is looked for, hashed once for the choice of a shard and the search in
/// it.
pub(super) struct Sought<'a, E: Entity> {
    asked: Asked<'a, E>,
    hash: u64,
}

impl<'a, E: Entity> Sought<'a, E> {
    #[inline]
    pub(super) fn new(asked: Asked<'a, E>) -> Self {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);
        // Here rather than by `Asked`, so that a row's is inlined.
        let hash = match asked {
            Asked::Id(id) => SEED.hash_one(id),
            Asked::Index(_) | Asked::All => SEED.hash_one(asked),
        };
        Self { asked, hash }
    }

    /// By bits that the search in a shard does not look at.
    #[inline]
    pub(super) fn shard(&self) -> usize {
        self.hash.to_le_bytes()[4] as usize % SHARDS
    }
}

impl<E: Entity> Hash for Sought<'_, E> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<E: Entity> Hash for Name<E> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        Sought::new(self.0.asked()).hash(state);
    }
}

impl<E: Entity> PartialEq for Name<E> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<E: Entity> Eq for Name<E> {}

impl<E: Entity> Equivalent<Name<E>> for Sought<'_, E> {
    #[inline]
    fn equivalent(&self, name: &Name<E>) -> bool {
        self.asked == name.0.asked()
    }
}

/// Passes on the hash that a key comes with.
#[derive(Clone, Default)]
pub(super) struct Hashed(u64);

impl BuildHasher for Hashed {
    type Hasher = Self;

    #[inline]
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Hashed {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys write their hash");
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
