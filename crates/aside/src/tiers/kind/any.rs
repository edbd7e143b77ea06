//! A kind without its Rust type.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::entity::IndexShape;
use crate::entity::key::Key;
use crate::insight::statistics::{KindStatistics, Operation};
use crate::local::LocalCopy;
use crate::protocol::value::FillContext;

/// The part of a strategy that advice is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Policy {
    pub(crate) early_refresh: Option<f64>,
    pub(crate) jitter: f64,
    pub(crate) negative_ttl: Duration,
    pub(crate) cache_on_write: bool,
}

/// A kind, for code that does not know its Rust type.
pub(crate) trait AnyKind: Send + Sync {
    /// Returns the operations that it counts, with their labels.
    fn operations(&self) -> &'static [(Operation, &'static str)];
    /// Returns how often each dependency outdated a value that was looked at.
    fn spoilt(&self) -> BTreeMap<String, u64>;
    /// Returns the name of its row type.
    fn type_name(&self) -> &'static str;
    fn indexes(&self) -> &'static [IndexShape];
    fn has_list_of_all(&self) -> bool;
    fn statistics(&self) -> &KindStatistics;
    fn counters(&self) -> Arc<KindStatistics>;
    fn ttl(&self) -> Duration;
    /// Returns how many of the sampled rows that writes left were read, and how many were
    /// not before the next write or their end.
    fn written(&self) -> (u64, u64) {
        (0, 0)
    }
    /// Returns the policy of its strategy; `None` without a strategy, or if that panics.
    fn policy(&self) -> Option<Policy> {
        None
    }
    /// Returns the fingerprint of its values, before it is mixed with a key.
    fn shape(&self) -> u64;
    /// Returns the conditions that a value under `key` must meet.
    fn conditions(&self, key: &Key, history: u64) -> FillContext;
    /// Returns the number of local entries, their size, and the number of
    /// evictions.
    fn local(&self) -> (u64, u64, u64);
    /// Returns the keys of at most `limit` local entries, each as its text after the kind;
    /// without those that have one of the `known` hashes.
    fn held(&self, limit: usize, known: &[u64]) -> Vec<String> {
        let _ = (limit, known);
        Vec::new()
    }
    /// Returns the key of the local entry with this hash, if `held` would have it.
    fn held_name(&self, hash: u64) -> Option<String> {
        let _ = hash;
        None
    }
    /// Returns the key of the local entry with this hash, as its text after the kind.
    fn name_of(&self, hash: u64) -> Option<String> {
        let _ = hash;
        None
    }
    /// Returns the local copy of a key, whose text is `text` after the name of the kind.
    fn copy_of(&self, key: &Key, text: &str) -> Option<LocalCopy>;
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}
