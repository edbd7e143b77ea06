//! The local entry of a query's value.
//!
//! It is a row of the local tier whose id is the query's parameters. The tier checks
//! the query's own key, as of any row. The entry has the other fields to check: each
//! dependency's generations, its shard's proof, and the epoch of its kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entity::key::KeyWriter;
use crate::entity::{Entity, IndexShape};
use crate::query::params::Params;
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::trust::epochs::Epochs;
use crate::trust::generations::{Generations, Stamp};

/// A value and its dependencies.
pub(super) struct Kept<T> {
    pub(super) params: Params,
    pub(super) value: Arc<T>,
    /// Identifies the dependencies that it was filled under.
    pub(super) identity: u64,
    stamps: Stamps,
    /// True if each dependency is in the query's own shard: the tier has checked that
    /// shard's proof and generation.
    is_one_shard: bool,
    /// The number of raised epochs at which those of the dependencies were compared.
    raises: AtomicU64,
    epochs: Box<[PartEpoch]>,
}

/// A dependency of an entry.
pub(super) struct Part {
    pub(super) stamp: Stamp,
    pub(super) epoch: u64,
    /// The last known epoch of its kind.
    pub(super) known: Arc<AtomicU64>,
}

struct PartEpoch {
    of_value: u64,
    known: Arc<AtomicU64>,
}

impl PartEpoch {
    fn is_current(&self) -> bool {
        self.known.load(Ordering::Acquire) <= self.of_value
    }
}

/// The dependencies with room in an entry.
const INLINE: usize = 4;

/// The stamps of the dependencies. A few are kept in place: each hit reads them.
enum Stamps {
    Few([Stamp; INLINE]),
    Many(Box<[Stamp]>),
}

impl<T> Kept<T> {
    /// Keeps a value under the stamp of the query's key and the parts of its dependencies.
    pub(super) fn new(
        (params, value, identity): (Params, Arc<T>, u64),
        own: Stamp,
        parts: Vec<Part>,
    ) -> Self {
        let stamps = parts.iter().map(|part| part.stamp);
        let stamps = match parts.len() {
            // The rest repeats the query's own stamp, which is checked anyway.
            0..=INLINE => {
                let mut few = [own; INLINE];
                few.iter_mut()
                    .zip(stamps)
                    .for_each(|(few, stamp)| *few = stamp);
                Stamps::Few(few)
            }
            _ => Stamps::Many(stamps.collect()),
        };
        let epoch = |part: Part| PartEpoch {
            of_value: part.epoch,
            known: part.known,
        };
        Self {
            params,
            value,
            identity,
            is_one_shard: parts.iter().all(|part| part.stamp.shares_shard(own)),
            stamps,
            raises: AtomicU64::new(u64::MAX),
            epochs: parts.into_iter().map(epoch).collect(),
        }
    }

    /// Returns true if it was filled under exactly these dependencies, and none of
    /// them was written since. The tier has checked the query's own key.
    #[inline]
    pub(super) fn is_valid(
        &self,
        identity: u64,
        generations: &Generations,
        epochs: &Epochs,
    ) -> bool {
        #[cfg(test)]
        if without(Rule::QueryGenerations) {
            return self.identity == identity;
        }
        let is_current = match &self.stamps {
            Stamps::Few(few) if self.is_one_shard => {
                few.iter().all(|stamp| generations.is_unheard(*stamp))
            }
            Stamps::Few(few) => are_fresh(few, generations),
            Stamps::Many(many) => are_fresh(many, generations),
        };
        let raises = epochs.raises();
        self.identity == identity
            && is_current
            && (self.raises.load(Ordering::Relaxed) == raises || self.compare_epochs(raises))
    }

    /// Returns true if none of its dependencies was written since, for an explanation.
    pub(super) fn is_current(&self, generations: &Generations) -> bool {
        let stamps = match &self.stamps {
            Stamps::Few(few) => &few[..],
            Stamps::Many(many) => many,
        };
        are_fresh(stamps, generations) && self.epochs.iter().all(PartEpoch::is_current)
    }

    /// Compares the epochs of the dependencies' kinds after one was raised.
    #[cold]
    fn compare_epochs(&self, raises: u64) -> bool {
        let are_current = self.epochs.iter().all(PartEpoch::is_current);
        if are_current {
            self.raises.store(raises, Ordering::Relaxed);
        }
        are_current
    }
}

fn are_fresh(stamps: &[Stamp], generations: &Generations) -> bool {
    let now = Moment::now();
    stamps.iter().all(|stamp| generations.is_fresh(*stamp, now))
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        unreachable!("an entry is shared")
    }
}

/// The local tier shares entries, and never writes one.
impl<T> Serialize for Kept<T> {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("an entry has no text"))
    }
}

impl<'de, T> Deserialize<'de> for Kept<T> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("an entry has no text"))
    }
}

impl<T: Send + Sync + 'static> Entity for Kept<T> {
    // The name of the query is in its kind.
    const KIND: &'static str = "query";
    const INDEXES: &'static [IndexShape] = &[];
    const HAS_EXACT_ID: bool = true;
    type Id = Params;
    type Index = std::convert::Infallible;

    fn id(&self) -> &Params {
        &self.params
    }

    fn indexes(&self, _: &mut dyn FnMut(Self::Index)) {}

    fn write_id(id: &Params, key: &mut KeyWriter) {
        key.json_segment(&id.to_string());
    }

    fn write_index(index: &Self::Index, _: &mut KeyWriter) {
        match *index {}
    }

    fn fingerprint() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::trust::shard_trust::{ShardTable, ShardTrust};

    const BOUND: Duration = Duration::from_secs(1);
    const OWN: u64 = 1;

    /// Two shards, both proved.
    struct World {
        generations: Generations,
        epochs: Epochs,
    }

    impl World {
        fn new() -> Self {
            let shards = ShardTable::of(2, || ShardTrust::new(BOUND));
            let world = Self {
                generations: Generations::new(&shards),
                epochs: Epochs::new(false),
            };
            world.prove(0);
            world.prove(1);
            world
        }

        fn prove(&self, shard: usize) {
            self.generations.shards()[shard].prove(Moment::now());
        }

        /// Returns a value that depends on keys of these hashes and shards.
        fn keep(&self, keys: &[(u64, u16)]) -> Kept<u8> {
            let part = |(hash, shard): &(u64, u16)| Part {
                stamp: self.generations.stamp(*hash, *shard),
                epoch: self.epochs.known("hero").unwrap_or(0),
                known: self.epochs.of("hero"),
            };
            let parts = keys.iter().map(part).collect();
            let content = (Params::of(&7_u8).unwrap(), Arc::new(9), 5);
            Kept::new(content, self.generations.stamp(OWN, 0), parts)
        }

        fn is_valid(&self, kept: &Kept<u8>) -> bool {
            kept.is_valid(5, &self.generations, &self.epochs)
        }
    }

    #[test]
    fn a_write_of_any_dependency_outdates_the_value() {
        for shard in [0, 1] {
            for count in 0..=2 * INLINE as u64 {
                let world = World::new();
                let keys: Vec<(u64, u16)> = (0..count).map(|hash| (100 + hash, shard)).collect();
                for (hash, _) in &keys {
                    let kept = world.keep(&keys);
                    assert!(world.is_valid(&kept));
                    world.generations.invalidate(999);
                    assert!(world.is_valid(&kept), "another key was written");
                    world.generations.invalidate(*hash);
                    assert!(!world.is_valid(&kept), "{count} in shard {shard}");
                }
            }
        }
    }

    #[test]
    fn a_dependency_of_another_shard_needs_that_shards_trust() {
        let world = World::new();
        let both = world.keep(&[(100, 0), (101, 1)]);
        let of_own = world.keep(&[(100, 0)]);
        assert!(world.is_valid(&both));
        world.generations.shards()[1].unsync();
        assert!(!world.is_valid(&both));
        assert!(world.is_valid(&of_own));
        world.prove(1);
        assert!(!world.is_valid(&both), "its generation has ended");
    }

    #[test]
    fn a_generation_that_ends_between_two_stamps_is_found() {
        let world = World::new();
        let own = world.generations.stamp(OWN, 0);
        world.generations.shards()[0].invalidate_all();
        let part = Part {
            stamp: world.generations.stamp(100, 0),
            epoch: 0,
            known: world.epochs.of("hero"),
        };
        let content = (Params::of(&7_u8).unwrap(), Arc::new(9), 5);
        let kept = Kept::new(content, own, vec![part]);
        assert!(!world.is_valid(&kept));
    }

    #[test]
    fn an_epoch_raised_after_the_load_began_outdates_the_value() {
        let world = World::new();
        world.epochs.of("book");
        let kept = world.keep(&[(100, 0)]);
        assert!(world.is_valid(&kept));
        world.epochs.adopt("book", 7).unwrap();
        assert!(world.is_valid(&kept), "the epoch of another kind");
        world.epochs.adopt("hero", 7).unwrap();
        assert!(!world.is_valid(&kept));
        assert!(!world.is_valid(&kept), "nor at a second hit");
        let later = world.keep(&[(100, 0)]);
        world.epochs.adopt("hero", 8).unwrap();
        assert!(!world.is_valid(&later), "raised before its first hit");
    }

    #[test]
    fn a_caller_with_other_dependencies_is_not_served() {
        let world = World::new();
        let kept = world.keep(&[(100, 0)]);
        assert!(!kept.is_valid(6, &world.generations, &world.epochs));
    }
}
