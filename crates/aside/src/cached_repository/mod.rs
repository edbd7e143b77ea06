//! A repository around a repository.

mod lease;
mod served;
mod passing;
mod shown;
mod source;
mod stale;
mod statistics;
mod warm_up;
mod audit;
mod batch;
mod load;
mod miss;
mod read;

use std::fmt;
use std::sync::Arc;

pub use statistics::RepositoryStats;
pub use warm_up::{WarmUp, WarmedUp};

use crate::answer::{Answer, Freshness};
use crate::entity::lookup::Asked;
use crate::entity::strategy::CacheStrategy;
use crate::entity::{Entity, Rows};
use crate::insight::audit::Audit;
use crate::insight::statistics::{Operation, Reason};
use crate::repository::{Id, Index, Overloaded, Repository, Row};
use crate::runtime::task;
use crate::service::CacheService;
use crate::tiers::Tiers;
use crate::tiers::kind::{Kind, KindFlights};
use crate::write::Write;

/// A repository around a repository, with a cache in front.
///
/// It has the inner repository's own error type, and no other: reads fail
/// only when the source of truth fails, and writes only when it refuses them.
/// A cache that is slow, broken or away costs time, never an answer.
///
/// Clones share everything. Two of one kind over one [`CacheService`] share
/// their in-process entries as well, so they must stand in front of the same
/// rows, and have the same error type: reads share their flights by it, and
/// two flights of one key could let an `Any` read go back within the bound.
///
/// # Cancellation
/// A read that is dropped is given up. What it began to load is loaded if others
/// wait for it, or to be filled, as long as fewer than `CACHE_SOURCE_CONCURRENCY`
/// such loads run. A write is a task of its own: it goes on to its end whether its
/// future is polled, held back or dropped.
pub struct CachedRepository<R: Repository> {
    inner: Arc<R>,
    cache: CacheService,
    kind: Arc<Kind<R::Entity>>,
    flights: Arc<KindFlights<R::Entity, R::Error>>,
    /// Here as well as in the tiers: a hit looks whether there is one.
    audit: Option<Arc<Audit>>,
}

/// What [`CachedRepository::invalidate`] makes every copy forget.
#[derive(Debug)]
pub enum Forget<'a, E: Entity> {
    /// One row. Lists that it stands in are not forgotten.
    Id(&'a E::Id),
    /// One list.
    Index(&'a E::Index),
    /// Everything of the kind.
    All,
}

impl<R: Repository> CachedRepository<R> {
    /// Puts `cache` in front of `inner`, as the settings say.
    ///
    /// # Panics
    /// If another type is cached under the same kind, or the kind's name is not
    /// of `[a-z0-9_-]+`, or is `aside`, which a hand-written `Entity` can bring
    /// about.
    pub fn new(inner: R, cache: &CacheService) -> Self {
        let kind = cache.tiers().register::<R::Entity>(None);
        let inner = Arc::new(inner);
        shown::read_by(&kind, &inner);
        Self {
            inner,
            cache: cache.clone(),
            flights: kind.flights(),
            kind,
            audit: cache.tiers().audit.clone(),
        }
    }

    /// Caches the kind as `strategy` says, from now on and in this service.
    ///
    /// A repository that is built for each request keeps the kind's entries:
    /// see [`CacheStrategy`].
    #[must_use]
    pub fn with_strategy(mut self, strategy: impl CacheStrategy<R::Entity>) -> Self {
        self.kind = self.tiers().register(Some(Arc::new(strategy)));
        self.flights = self.kind.flights();
        shown::read_by(&self.kind, &self.inner);
        self
    }

    /// The repository behind the cache.
    #[must_use]
    pub fn source(&self) -> &R {
        &self.inner
    }

    /// The service that caches.
    #[must_use]
    pub fn cache(&self) -> &CacheService {
        &self.cache
    }

    fn tiers(&self) -> &Arc<Tiers> {
        self.cache.tiers()
    }

    /// The row with this id, as fresh as asked for, and how it was answered.
    ///
    /// # Errors
    /// The repository's own.
    pub async fn find_by_id_with(
        &self,
        id: &Id<R>,
        freshness: Freshness,
    ) -> Result<Answer<Option<Row<R>>>, R::Error> {
        let served = self
            .read(Asked::Id(id), Operation::FindById, freshness)
            .await?;
        Ok(served.into_answer().map(|found| found.into_row()))
    }

    /// One list, as fresh as asked for, and how it was answered.
    ///
    /// # Errors
    /// The repository's own.
    pub async fn find_by_with(
        &self,
        index: &Index<R>,
        freshness: Freshness,
    ) -> Result<Answer<Rows<R::Entity>>, R::Error> {
        let served = self
            .read(Asked::Index(index), Operation::FindBy, freshness)
            .await?;
        Ok(served.into_answer().map(|found| found.into_list()))
    }

    /// The list of all, as fresh as asked for, and how it was answered.
    ///
    /// # Errors
    /// The repository's own.
    pub async fn list_all_with(
        &self,
        freshness: Freshness,
    ) -> Result<Answer<Rows<R::Entity>>, R::Error> {
        let served = self.read(Asked::All, Operation::ListAll, freshness).await?;
        Ok(served.into_answer().map(|found| found.into_list()))
    }

    /// The one row that has this value of a unique index.
    ///
    /// Of an index that is not unique it is the first of the list.
    ///
    /// # Errors
    /// The repository's own.
    pub async fn find_one_by(&self, index: &Index<R>) -> Result<Option<Row<R>>, R::Error> {
        Ok(self.find_by(index).await?.first().map(Arc::clone))
    }

    /// Makes every copy forget, on every instance; answers how many keys
    /// Redis forgot.
    ///
    /// Writes through the repository do this by themselves. It is for rows
    /// that were changed behind its back. While Redis is away nothing is
    /// forgotten there, and the answer is 0: what this instance reads
    /// meanwhile comes from the database, and the keys are forgotten when
    /// Redis is back.
    pub async fn invalidate(&self, what: Forget<'_, R::Entity>) -> u64 {
        let namespace = self.tiers().namespace();
        let forgotten = match what {
            Forget::Id(id) => {
                self.cache
                    .forget_key(&Asked::<R::Entity>::Id(id).key(namespace), Reason::Request)
                    .await
            }
            Forget::Index(index) => {
                self.cache
                    .forget_key(
                        &Asked::<R::Entity>::Index(index).key(namespace),
                        Reason::Request,
                    )
                    .await
            }
            Forget::All => self.cache.forget_kind(R::Entity::KIND).await,
        };
        forgotten.keys
    }

    /// Runs a write as a task of its own, so that a caller who goes away
    /// neither stops the transaction half-way nor skips the forgetting.
    async fn write<T, F>(
        &self,
        work: impl FnOnce(Arc<R>, Write) -> F + Send + 'static,
    ) -> Result<T, R::Error>
    where
        T: Send + 'static,
        F: Future<Output = (Result<T, R::Error>, Write)> + Send,
    {
        let inner = Arc::clone(&self.inner);
        // The one that was built last may be gone already.
        shown::read_by(&self.kind, &self.inner);
        let write = Write::of_repository(Arc::clone(self.tiers()));
        let writing = async move {
            let (result, write) = work(inner, write).await;
            write.ended(result.is_ok()).await;
            result
        };
        task::outlive(writing).await
    }
}

impl<R: Repository> Repository for CachedRepository<R> {
    type Entity = R::Entity;
    type Error = R::Error;

    async fn find_by_id(&self, id: &Id<R>) -> Result<Option<Row<R>>, R::Error> {
        if let Some(row) = self.row_in_process(id, Operation::FindById) {
            return Ok(row);
        }
        Ok(self.row_below(id).await?.found.into_row())
    }

    async fn find_many(&self, ids: &[Id<R>]) -> Result<Vec<Option<Row<R>>>, R::Error> {
        self.read_many(ids).await
    }

    async fn find_by(&self, index: &Index<R>) -> Result<Rows<R::Entity>, R::Error> {
        let served = self.read(Asked::Index(index), Operation::FindBy, Freshness::Any);
        Ok(served.await?.found.into_list())
    }

    async fn list_all(&self) -> Result<Rows<R::Entity>, R::Error> {
        let served = self.read(Asked::All, Operation::ListAll, Freshness::Any);
        Ok(served.await?.found.into_list())
    }

    async fn save_in(&self, row: R::Entity, write: &mut Write) -> Result<Row<R>, R::Error> {
        self.inner.save_in(row, write).await
    }

    async fn update_in(
        &self,
        row: R::Entity,
        write: &mut Write,
    ) -> Result<Option<Row<R>>, R::Error> {
        self.inner.update_in(row, write).await
    }

    async fn delete_in(&self, id: &Id<R>, write: &mut Write) -> Result<bool, R::Error> {
        self.inner.delete_in(id, write).await
    }

    fn overloaded(&self, why: Overloaded) -> R::Error {
        self.inner.overloaded(why)
    }

    async fn save(&self, row: R::Entity) -> Result<Row<R>, R::Error> {
        let work =
            |inner: Arc<R>, mut write| async move { (inner.save_in(row, &mut write).await, write) };
        self.write(work).await
    }

    async fn update(&self, row: R::Entity) -> Result<Option<Row<R>>, R::Error> {
        let work = |inner: Arc<R>, mut write| async move {
            (inner.update_in(row, &mut write).await, write)
        };
        self.write(work).await
    }

    async fn delete(&self, id: &Id<R>) -> Result<bool, R::Error> {
        let id = id.clone();
        let work = |inner: Arc<R>, mut write| async move {
            (inner.delete_in(&id, &mut write).await, write)
        };
        self.write(work).await
    }
}

impl<R: Repository> Clone for CachedRepository<R> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            cache: self.cache.clone(),
            kind: Arc::clone(&self.kind),
            flights: Arc::clone(&self.flights),
            audit: self.audit.clone(),
        }
    }
}

impl<R: Repository> fmt::Debug for CachedRepository<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CachedRepository")
            .field("kind", &R::Entity::KIND)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
