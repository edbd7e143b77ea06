//! Cached queries: the result of any closure, under a name, its parameters and the
//! keys that it depends on.
//!
//! A write does not know which queries read its rows, so it cannot invalidate their
//! keys. Instead a query's value contains the *stamp* of each key that it depends on,
//! seen before the query was loaded, and counts only while those stamps are there
//! (`protocol/value/mark.rs`). A write destroys the stamps of its keys before its
//! commit, as it always did.
//!
//! ```text
//! look   GET query, header of each dependency            all stamps as recorded: a hit
//! miss   ACQUIRE query, STAMP dependencies without one   quarantined: load, fill nothing
//!        load ── FILL with these stamps
//! ```
//!
//! A hit in this process checks the generations of the query's key and of each
//! dependency's (`kept`). The flight, the lease, the load and the bypasses are those
//! of a row: `miss` and `load` name the differences.

mod params;
mod deps;
mod kept;
mod asked;
mod kind;
mod value;
mod path;
mod sampling;
mod look;
mod load;
mod reload;
mod miss;
mod audit;
mod strict;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Freshness;
use crate::entity::key::KeyWriter;
use crate::entity::lookup::{Found, LookupRef};
use crate::insight::statistics::{Outcome, Reason};
use crate::query::asked::Asked;
use crate::query::kind::{Codec, QueryKind, READ};
use crate::query::params::Params;
use crate::query::path::{Load, QueryPath};
use crate::read::result::is_young;
use crate::service::CacheService;

pub use crate::query::deps::Deps;

/// The cached results of one query.
///
/// ```
/// use std::time::Duration;
/// use aside::{CacheConfig, CacheService, CachedQuery, Deps, Entity, Secret};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Serialize, Deserialize, Entity)]
/// #[entity(kind = "article", list_all = false, tracked)]
/// struct Article {
///     #[entity(id)]
///     id: u64,
///     #[entity(index)]
///     author: u64,
/// }
///
/// # async fn load(author: u64) -> Result<Vec<u64>, std::io::Error> { Ok(vec![1, author]) }
/// # async fn count() -> Result<u64, std::io::Error> { Ok(7) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = CacheConfig { redis_url: Secret::new("memory://"), ..CacheConfig::default() };
/// # let cache = CacheService::connect(config).await;
/// // Once, beside the repositories:
/// let pages: CachedQuery<u64, Vec<u64>> = CachedQuery::new("article_page", &cache);
/// let total: CachedQuery<(), u64> =
///     CachedQuery::new("article_count", &cache).ttl(Duration::from_secs(600));
///
/// // In a handler. `load` runs the statement, after a miss:
/// let author = 2;
/// let ids = pages
///     .get(&author, Deps::new().list::<Article>(&ArticleIndex::Author(author)), move || load(author))
///     .await?;
/// assert_eq!(*ids, [1, 2]);
/// let all = total.get(&(), Deps::new().kind::<Article>(), count).await?;
/// assert_eq!(*all, 7);
/// # Ok(())
/// # }
/// ```
///
/// Every write of a named dependency, through the library or recorded by a trigger,
/// outdates the value, with the guarantees of a row: `docs/queries.md` has them, and
/// what to name. A name is that of a kind: it determines the setting
/// `CACHE_{NAME}_TTL`, the label `entity` of metrics, and the keys of operators.
pub struct CachedQuery<K, T: Send + Sync + 'static> {
    path: QueryPath<T>,
    parameters: PhantomData<fn(&K)>,
}

impl<K: Serialize + 'static, T: Serialize + DeserializeOwned + Send + Sync + 'static>
    CachedQuery<K, T>
{
    /// Caches the query of this name. A second one with the same name and types shares
    /// its entries.
    ///
    /// # Panics
    /// If the name does not match `[a-z0-9_-]+` or is `aside`, or if a kind or a query
    /// of other types has it.
    pub fn new(name: &'static str, cache: &CacheService) -> Self {
        Self::with(name, cache, Some(Codec::new()))
    }
}

impl<K: Serialize + 'static, T: Send + Sync + 'static> CachedQuery<K, T> {
    /// Caches values of any type in this process alone, such as a compiled template:
    /// outdated by the same writes, and never in Redis. Without a local tier, or if it
    /// is full, each read loads.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn in_process(name: &'static str, cache: &CacheService) -> Self {
        Self::with(name, cache, None)
    }

    fn with(name: &'static str, cache: &CacheService, codec: Option<Codec<T>>) -> Self {
        Self {
            path: QueryPath {
                kind: QueryKind::register::<K>(cache.tiers(), name, codec),
                cache: cache.clone(),
            },
            parameters: PhantomData,
        }
    }

    /// Sets the TTL, unless the operator has set one. Default: 60 seconds, because a
    /// dependency may have been forgotten.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        self.path.kind.set_ttl(ttl);
        self
    }

    /// Serves values that were loaded at most so long ago, **although this instance was
    /// told of a write of a dependency since**: neither the staleness bound nor the
    /// reading of own writes holds for them. Default: none is served.
    ///
    /// For a query whose dependencies are written all the time, so that it would never
    /// be served from the cache. The first read of an outdated value has it loaded
    /// anew, one reader at a time over all instances, and no read waits for that. The
    /// time counts from the beginning of the load. Such a read is a `stale_hit` in
    /// metrics. Without effect on [`in_process`](Self::in_process) and
    /// [`get_for`](Self::get_for).
    #[must_use]
    pub fn tolerates(self, limit: Duration) -> Self {
        self.path.kind.set_tolerates(limit);
        self
    }

    /// Sets a number that is part of the value's fingerprint. Change it when the
    /// meaning or the form of the result changes and its type's name does not.
    #[must_use]
    pub fn shape(self, shape: u64) -> Self {
        self.path.kind.set_shape(shape);
        self
    }

    /// Returns the result for these parameters, from the cache or from `load`.
    ///
    /// `load` must read the database itself, on the primary, outside of the caller's
    /// transaction, and nothing through the cache. It goes on if the caller is dropped,
    /// and concurrent callers share it. It has no time limit of the cache.
    ///
    /// # Errors
    /// The error of `load`, shared by its callers.
    pub async fn get<F, R, X>(&self, key: &K, deps: Deps<'_>, load: F) -> Result<Arc<T>, Arc<X>>
    where
        F: FnOnce() -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<T, X>> + Send,
        X: Send + Sync + 'static,
    {
        match self.local(key, &deps, Freshness::Any) {
            Some((value, None)) => Ok(value),
            Some((value, Some(fill))) => {
                if self.path.watches() {
                    let asked = self.asked(key, &deps, self.path.kind.ttl());
                    drop(deps);
                    let watch = self.path.watch(&asked, load, (fill, &value));
                    Box::pin(watch).await;
                }
                Ok(value)
            }
            None => {
                let asked = self.asked(key, &deps, self.path.kind.ttl());
                drop(deps);
                Box::pin(self.below(asked, load)).await
            }
        }
    }

    /// Returns the result for these parameters, whose load ended at most `ttl` ago.
    /// Nothing outdates it before: for answers of other services, and other data without
    /// writes. Redis keeps it for a second at least.
    ///
    /// # Errors
    /// The error of `load`, shared by its callers.
    pub async fn get_for<F, R, X>(&self, key: &K, ttl: Duration, load: F) -> Result<Arc<T>, Arc<X>>
    where
        F: FnOnce() -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<T, X>> + Send,
        X: Send + Sync + 'static,
    {
        let deps = Deps::new();
        if let Some((value, _)) = self.local(key, &deps, Freshness::AtMost(ttl)) {
            return Ok(value);
        }
        let asked = self.asked(key, &deps, ttl);
        Box::pin(self.below(asked, load)).await
    }

    /// Invalidates the result for these parameters on every instance. Writes of its
    /// dependencies need no call.
    pub async fn invalidate(&self, key: &K) -> u64 {
        let tiers = self.path.tiers();
        let mut written = KeyWriter::new(tiers.namespace().0, self.path.kind.name);
        written.segment(key);
        let key = written.finish();
        let invalidated = self.path.cache.invalidate_key(&key, Reason::Request);
        invalidated.await.keys
    }

    /// Invalidates all results of the query on every instance.
    pub async fn invalidate_all(&self) -> u64 {
        let name = self.path.kind.name;
        self.path.cache.invalidate_whole_kind(name).await.keys
    }

    /// Returns the local result, and its fill if the audit may want it.
    #[inline]
    fn local(
        &self,
        key: &K,
        deps: &Deps<'_>,
        freshness: Freshness,
    ) -> Option<(Arc<T>, Option<u64>)> {
        let kind = &self.path.kind;
        let (local, params) = (kind.local.as_ref()?, Params::of(key)?);
        let tiers = self.path.tiers();
        let hit = local.get(LookupRef::Id(&params), |entry| {
            let kept = entry.row_ref()?;
            let is_valid = is_young(entry.loaded_at(), freshness)
                && kept.is_valid(deps.identity(), &tiers.generations, &tiers.epochs);
            is_valid.then(|| {
                if kind.statistics.read(READ, Outcome::L1Hit) {
                    self.path.record_hit(&params, entry.loaded_at());
                }
                let is_watched = tiers.audit.is_some() || tiers.is_strict.load(Relaxed);
                let fill = is_watched.then(|| entry.fill());
                (Arc::clone(&kept.value), fill)
            })
        });
        hit.flatten()
    }

    fn asked(&self, key: &K, deps: &Deps<'_>, ttl: Duration) -> Arc<Asked> {
        let kind = &self.path.kind;
        Arc::new(Asked::new(self.path.tiers(), (kind.name, key), deps, ttl))
    }

    async fn below<X: Send + Sync + 'static>(
        &self,
        asked: Arc<Asked>,
        load: impl Load<T, X>,
    ) -> Result<Arc<T>, Arc<X>> {
        let result = self.path.read(&asked, load.clone()).await?;
        let Found::Row(Some(value)) = result.found else {
            unreachable!("a query has a result");
        };
        // Without dependencies a difference is no mistake.
        if let Some(fill) = result.provenance.fill
            && !asked.dependencies.is_empty()
            && self.path.watches()
        {
            self.path.watch(&asked, load, (fill, &value)).await;
        }
        Ok(value)
    }
}

impl<K, T: Send + Sync + 'static> Clone for CachedQuery<K, T> {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            parameters: PhantomData,
        }
    }
}

impl<K, T: Send + Sync + 'static> fmt::Debug for CachedQuery<K, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CachedQuery")
            .field("name", &self.path.kind.name)
            .finish_non_exhaustive()
    }
}
