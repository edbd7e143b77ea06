//! The prefetch, for operators, and named contexts of reads.

use std::sync::atomic::Ordering;

use crate::config::prefetch::PrefetchMode;
use crate::entity::key;
use crate::prefetch::PrefetchAssociation;
use crate::runtime::task;
use crate::service::CacheService;

/// The state of the prefetch. Its counts by kind are in
/// [`KindStats::prefetched`](crate::report::KindStats::prefetched).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PrefetchState {
    /// Whether rows are fetched ahead, or only their names are guessed.
    pub mode: PrefetchMode,
    /// True while nothing is fetched, because too much was fetched in vain.
    pub is_spent: bool,
    /// The share of a key's reads after which another key must have been read, 0.0 to
    /// 1.0, before it is fetched with it.
    pub share_required: f32,
    /// Rows that are fetched and not read yet.
    pub rows: usize,
    /// Keys that are known.
    pub keys: usize,
    /// Batches that were fetched.
    pub batches: u64,
    /// The declarations of strategies.
    pub associations: Vec<PrefetchAssociation>,
}

impl CacheService {
    /// Runs a future in the context of this name, such as the id of a request. Rows that
    /// are often read one after another in one context are fetched together
    /// (`CACHE_PREFETCH`). Without a name the context is the task. That suffices unless
    /// one request is served by several tasks, or one task serves several at once.
    pub fn context<F: Future>(
        &self,
        name: &str,
        future: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        task::in_context(key::hash(name), future)
    }

    /// Switches the prefetch from now on. `CACHE_PREFETCH` is its first state.
    pub fn prefetch(&self, mode: PrefetchMode) {
        self.tiers().prefetch.set_mode(mode);
    }

    /// Returns the state of the prefetch.
    #[must_use]
    pub fn prefetch_state(&self) -> PrefetchState {
        let prefetch = &self.tiers().prefetch;
        let (rows, keys) = prefetch.sizes();
        PrefetchState {
            mode: prefetch.mode(),
            is_spent: prefetch.is_spent(),
            share_required: prefetch.share_required(),
            rows,
            keys,
            batches: prefetch.batches.load(Ordering::Relaxed),
            associations: prefetch.associations(),
        }
    }
}
