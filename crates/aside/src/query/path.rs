//! All that a read of one query needs.

use std::future::Future;
use std::sync::Arc;

use std::collections::BTreeSet;
use tokio::time::Instant;

use crate::answer::Bypass;
use crate::entity::lookup::Found;
use crate::insight::statistics::Outcome;
use crate::query::asked::{Asked, QueryContext};
use crate::query::kind::{QueryKind, READ};
use crate::read::result::ReadResult;
use crate::read::source::loading;
use crate::service::CacheService;
use crate::tiers::Tiers;
use crate::tiers::uncacheable::Why;

/// A result type that can be cached; in Redis, if its query has a codec.
pub(super) trait Cacheable: Send + Sync + 'static {}

impl<T: Send + Sync + 'static> Cacheable for T {}

/// A closure that loads a result: it goes on without its caller, and the audit may
/// run it once more.
pub(super) trait Load<T, X>: Clone + Send + Sync + 'static {
    fn run(self) -> impl Future<Output = Result<T, X>> + Send;
}

impl<T, X, F, R> Load<T, X> for F
where
    F: FnOnce() -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<T, X>> + Send,
{
    fn run(self) -> impl Future<Output = Result<T, X>> + Send {
        self()
    }
}

pub(super) struct QueryPath<T: Send + Sync + 'static> {
    pub(super) cache: CacheService,
    pub(super) kind: Arc<QueryKind<T>>,
}

impl<T: Send + Sync + 'static> Clone for QueryPath<T> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            kind: Arc::clone(&self.kind),
        }
    }
}

impl<T: Cacheable> QueryPath<T> {
    pub(super) fn tiers(&self) -> &Arc<Tiers> {
        self.cache.tiers()
    }

    /// Returns the generations and conditions of a read that begins now.
    pub(super) fn context(&self, asked: &Asked) -> QueryContext {
        asked.context(self.tiers(), &self.kind.epoch, self.kind.shape())
    }

    pub(super) fn gate(&self, asked: &Asked, context: &QueryContext) -> Option<Bypass> {
        asked.gate(self.tiers(), context)
    }

    /// Runs the closure of a caller.
    pub(super) async fn load<X: Send + Sync>(
        &self,
        asked: &Asked,
        load: impl Load<T, X>,
    ) -> Result<Found<T>, Arc<X>> {
        let begun = Instant::now();
        let keys = BTreeSet::from([asked.key.clone()]);
        let loaded = loading(self.tiers(), keys, load.run()).await;
        self.kind.statistics.source_took(READ, begun.elapsed());
        self.kind.pace.took(begun.elapsed());
        let loaded = loaded.map(|value| Found::Row(Some(Arc::new(value))));
        loaded.map_err(Arc::new)
    }

    /// Loads for this caller alone.
    pub(super) async fn read_source<X: Send + Sync>(
        &self,
        asked: &Asked,
        load: impl Load<T, X>,
        bypass: Option<Bypass>,
    ) -> Result<ReadResult<T>, Arc<X>> {
        let found = self.load(asked, load).await?;
        Ok(ReadResult::loaded(found, bypass))
    }

    /// Remembers that a result, loaded under `context`, cannot be cached. Returns the
    /// bypass of its reads.
    pub(super) fn uncacheable(&self, asked: &Asked, why: Why, context: &QueryContext) -> Bypass {
        let tiers = self.tiers();
        if let Some(label) = why.label() {
            tiers.statistics.error(label);
            self.kind.say_uncacheable(why);
        }
        let ttl = asked.ttl;
        tiers
            .uncacheable
            .remember(&asked.key, why, context.stamp, ttl);
        why.bypass()
    }

    /// Counts a read below this process, and why it was not served from the cache.
    pub(super) fn count(&self, asked: &Asked, result: &ReadResult<T>, begun: Instant) {
        let statistics = &self.kind.statistics;
        let (outcome, provenance) = (result.outcome(), &result.provenance);
        if statistics.read(READ, outcome) {
            self.record(asked, provenance);
        }
        statistics.read_took(outcome, begun.elapsed());
        match (outcome, provenance.bypass) {
            (Outcome::Miss, _) => statistics.missed(provenance.missed),
            (Outcome::Bypass, Some(why)) => {
                statistics.bypassed(why, || asked.unavailable(self.tiers(), &self.kind.epoch))
            }
            _ => {}
        }
    }
}
