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
use crate::trust::generations::{Generations, Stamp};

/// A value and its dependencies.
pub(super) struct Kept<T> {
    pub(super) params: Params,
    pub(super) value: Arc<T>,
    /// Identifies the dependencies that it was filled under.
    pub(super) identity: u64,
    pub(super) parts: Box<[Part]>,
}

/// A dependency of an entry.
pub(super) struct Part {
    pub(super) stamp: Stamp,
    pub(super) epoch: u64,
    /// The last known epoch of its kind.
    pub(super) known: Arc<AtomicU64>,
}

impl<T> Kept<T> {
    /// Returns true if it was filled under exactly these dependencies, and none of
    /// them was written since.
    #[inline]
    pub(super) fn is_valid(&self, identity: u64, generations: &Generations) -> bool {
        let now = Moment::now();
        let is_valid = |part: &Part| {
            generations.is_fresh(part.stamp, now)
                && part.known.load(Ordering::Acquire) <= part.epoch
        };
        self.identity == identity && self.parts.iter().all(is_valid)
    }
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
        key.segment(&id.to_string());
    }

    fn write_index(index: &Self::Index, _: &mut KeyWriter) {
        match *index {}
    }

    fn fingerprint() -> u64 {
        0
    }
}
