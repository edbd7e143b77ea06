//! The caching decorator: a [`Repository`] that wraps another one.

mod associations;
mod statistics;
mod pace;
mod warm_up;
mod hot;
mod start;

use std::fmt;
use std::sync::Arc;

pub use statistics::RepositoryStats;
pub use warm_up::WarmUpOptions;

use crate::answer::{Answer, Freshness};
use crate::entity::lookup::{Found, LookupRef};
use crate::entity::strategy::CacheStrategy;
use crate::entity::{Entity, Rows};
use crate::id_lists::IdLists;
use crate::insight::statistics::{Operation, Reason};
use crate::protocol::BoxFuture;
use crate::read::ReadPath;
use crate::read::result::ReadResult;
use crate::read::timeouts::Timeouts;
use crate::repository::{Id, Index, Overloaded, Repository, Row, Source};
use crate::runtime::task;
use crate::service::CacheService;
use crate::service::hot_keys::{HotKey, hot_keys};
use crate::write::Write;

/// The caching decorator: a [`Repository`] that wraps another one.
///
/// Its error type is the inner repository's: reads fail only if the database
/// fails, and writes only if it refuses them. A slow, broken or unavailable
/// cache costs time, never a result.
///
/// Clones share everything. Two repositories of one kind on one
/// [`CacheService`] also share their local entries, so they must wrap the same
/// rows and have the same error type. Reads share flights by error type, and
/// two flights of one key could let an `Any` read return an older value than
/// before, within the staleness bound.
///
/// # Cancellation
/// A dropped read is abandoned. Its load continues if other readers wait for
/// it, or in order to fill, as long as fewer than `CACHE_SOURCE_CONCURRENCY`
/// such loads run. A write is a separate task: it runs to its end whether its
/// future is polled or dropped.
pub struct CachedRepository<R: Source> {
    read: ReadPath<R>,
    /// `None` if no index of the kind has lists of ids.
    ids: Option<Arc<IdLists<R>>>,
}

/// The target of [`CachedRepository::invalidate`].
#[derive(Debug)]
pub enum Scope<'a, E: Entity> {
    /// One row. Lists that contain it are not invalidated.
    Row(&'a E::Id),
    /// One list.
    List(&'a E::Index),
    /// The whole kind.
    Kind,
}

impl<R: Source> CachedRepository<R> {
    /// Wraps `inner` with `cache`, according to the settings.
    ///
    /// # Panics
    /// If another type is cached as the same kind. Also if the kind of an
    /// `Entity` written by hand does not match `[a-z0-9_-]+`, or is `aside`.
    pub fn new(inner: R, cache: &CacheService) -> Self {
        let read = ReadPath::new(Arc::new(inner), cache, None);
        start::begin(&read);
        Self::over(read)
    }

    /// Sets the strategy of the kind, from now on and for this service.
    ///
    /// A repository that is built per request keeps the kind's entries: see
    /// [`CacheStrategy`].
    #[must_use]
    pub fn with_strategy(self, strategy: impl CacheStrategy<R::Entity>) -> Self {
        let ReadPath { source, cache, .. } = self.read;
        Self::over(ReadPath::new(source, &cache, Some(Arc::new(strategy))))
    }

    fn over(read: ReadPath<R>) -> Self {
        Self {
            ids: IdLists::of(&read).map(Arc::new),
            read,
        }
    }

    /// Returns the same repository for callers that wait so long for a load.
    ///
    /// The limits apply to each read, and to each 1,000 rows of a batch. A limit that
    /// is not set is the strategy's.
    #[must_use]
    pub fn with_timeouts(&self, timeouts: Timeouts) -> Self {
        let mut read = self.read.clone();
        read.timeouts = timeouts;
        Self::over(read)
    }

    /// Returns the lists of ids, if the list of this index value is one.
    fn ids_of(&self, index: &Index<R>) -> Option<&IdLists<R>> {
        let ids = self.ids.as_deref()?;
        R::Entity::is_list_of_ids(index).then_some(ids)
    }

    /// Returns the repository behind the cache.
    #[must_use]
    pub fn source(&self) -> &R {
        &self.read.source
    }

    /// Returns the cache service.
    #[must_use]
    pub fn cache(&self) -> &CacheService {
        &self.read.cache
    }

    /// Returns the row with this id, at the requested freshness, with its
    /// provenance.
    ///
    /// # Errors
    /// The repository's.
    pub async fn find_by_id_with(
        &self,
        id: &Id<R>,
        freshness: Freshness,
    ) -> Result<Answer<Option<Row<R>>>, R::Error> {
        let result = self
            .read
            .read(LookupRef::Id(id), Operation::FindById, freshness)
            .await?;
        Ok(result.into_answer().map(|found| found.into_row()))
    }

    /// Returns one list, at the requested freshness, with its provenance. That of a list
    /// of ids is the provenance of the ids.
    ///
    /// # Errors
    /// The repository's.
    pub async fn find_by_with(
        &self,
        index: &Index<R>,
        freshness: Freshness,
    ) -> Result<Answer<Rows<R::Entity>>, R::Error> {
        let result = match self.ids_of(index) {
            Some(ids) => ids.read(index, freshness).await?,
            None => {
                let asked = LookupRef::Index(index);
                self.read.read(asked, Operation::FindBy, freshness).await?
            }
        };
        Ok(result.into_answer().map(|found| found.into_list()))
    }

    /// Returns the list of all, at the requested freshness, with its
    /// provenance. If the kind has `list_all = false`, it comes from the database.
    ///
    /// # Errors
    /// The repository's.
    pub async fn list_all_with(
        &self,
        freshness: Freshness,
    ) -> Result<Answer<Rows<R::Entity>>, R::Error> {
        let result = self.read_all(freshness).await?;
        Ok(result.into_answer().map(|found| found.into_list()))
    }

    async fn read_all(&self, freshness: Freshness) -> Result<ReadResult<R::Entity>, R::Error> {
        // No write would invalidate the list of a kind that has none.
        let freshness = match R::Entity::LIST_ALL {
            true => freshness,
            false => Freshness::Source,
        };
        self.read
            .read(LookupRef::All, Operation::ListAll, freshness)
            .await
    }

    /// Returns the one row with this value of a unique index.
    ///
    /// For an index that is not unique, returns the first row of the list.
    ///
    /// # Errors
    /// The repository's.
    pub async fn find_one_by(&self, index: &Index<R>) -> Result<Option<Row<R>>, R::Error> {
        Ok(self.find_by(index).await?.first().map(Arc::clone))
    }

    /// Returns at most `limit` of the kind's keys among the hot ones of this instance; see
    /// [`CacheService::hot_keys`]. Empty if other kinds are read far more often.
    #[must_use]
    pub fn hot_keys(&self, limit: usize) -> Vec<HotKey> {
        hot_keys(self.read.tiers(), Some(R::Entity::KIND), limit)
    }

    /// Invalidates keys on every instance. Returns how many were removed from
    /// Redis; a row or a list counts as removed even if it was not there.
    ///
    /// Writes through the repository do this automatically. Call it for rows
    /// that were changed in another way. While Redis is unavailable it returns
    /// 0: this instance reads the keys from the database, and they are
    /// invalidated when Redis is back.
    pub async fn invalidate(&self, what: Scope<'_, R::Entity>) -> u64 {
        let namespace = self.read.tiers().namespace();
        let invalidated = match what {
            Scope::Row(id) => {
                self.read
                    .cache
                    .invalidate_key(
                        &LookupRef::<R::Entity>::Id(id).key(namespace),
                        Reason::Request,
                    )
                    .await
            }
            Scope::List(index) => {
                self.read
                    .cache
                    .invalidate_key(
                        &LookupRef::<R::Entity>::Index(index).key(namespace),
                        Reason::Request,
                    )
                    .await
            }
            Scope::Kind => self.read.cache.invalidate_whole_kind(R::Entity::KIND).await,
        };
        invalidated.keys
    }

    /// Runs a write of the source's own, such as a partial update, an upsert or a bulk
    /// change, as the repository's writes run.
    ///
    /// ```
    /// # use aside::{CachedRepository, Repository, Write};
    /// # trait Heroes: Repository {
    /// #     fn rename(
    /// #         &self,
    /// #         id: u64,
    /// #         name: &str,
    /// #         write: &mut Write,
    /// #     ) -> impl Future<Output = Result<bool, Self::Error>> + Send;
    /// # }
    /// # async fn example<R: Heroes>(heroes: CachedRepository<R>) -> Result<(), R::Error> {
    /// let found = heroes
    ///     .write_with(|source, write| Box::pin(source.rename(7, "Maria", write)))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// `work` follows the steps that [`Repository`] names for a write: it records changes in
    /// `write`, awaits [`Write::before_commit`], and commits. An `Err` without
    /// [`Write::rolled_back`] is ambiguous.
    ///
    /// # Errors
    /// The error that `work` returns.
    ///
    /// # Cancellation
    /// The write is a task, and goes on to its end if the future is dropped.
    pub async fn write_with<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a R, &'a mut Write) -> BoxFuture<'a, Result<T, R::Error>>
        + Send
        + 'static,
    ) -> Result<T, R::Error> {
        let source = Arc::clone(&self.read.source);
        self.read.read_back();
        let mut write = Write::of_repository(Arc::clone(self.read.tiers()));
        let writing = async move {
            let result = work(&source, &mut write).await;
            write.ended(result.is_ok()).await;
            result
        };
        task::outlive(writing).await
    }
}

impl<R: Source> CachedRepository<R> {
    /// Returns lists of rows.
    async fn lists<'a>(
        &self,
        indexes: impl ExactSizeIterator<Item = &'a Index<R>>,
    ) -> Result<Vec<Rows<R::Entity>>, R::Error> {
        let asked = indexes.map(LookupRef::Index);
        let found = self.read.read_many(asked, Operation::FindBy).await?;
        Ok(found.into_iter().map(Found::into_list).collect())
    }
}

impl<R: Source> Source for CachedRepository<R> {
    type Entity = R::Entity;
    type Error = R::Error;

    #[inline]
    fn find_by_id(
        &self,
        id: &Id<R>,
    ) -> impl Future<Output = Result<Option<Row<R>>, R::Error>> + Send {
        self.read.row(id)
    }

    async fn find_many(&self, ids: &[Id<R>]) -> Result<Vec<Option<Row<R>>>, R::Error> {
        let asked = ids.iter().map(LookupRef::Id);
        let found = self.read.read_many(asked, Operation::FindMany).await?;
        Ok(found.into_iter().map(Found::into_row).collect())
    }

    async fn find_by(&self, index: &Index<R>) -> Result<Rows<R::Entity>, R::Error> {
        if let Some(ids) = self.ids_of(index) {
            let read = Box::pin(ids.read(index, Freshness::Any));
            return Ok(read.await?.found.into_list());
        }
        let result = self
            .read
            .read(LookupRef::Index(index), Operation::FindBy, Freshness::Any);
        Ok(result.await?.found.into_list())
    }

    async fn find_by_many(&self, indexes: &[Index<R>]) -> Result<Vec<Rows<R::Entity>>, R::Error> {
        let Some(ids) = &self.ids else {
            return self.lists(indexes.iter()).await;
        };
        let (of_ids, of_rows): (Vec<_>, Vec<_>) = indexes
            .iter()
            .partition(|index| R::Entity::is_list_of_ids(index));
        let mut of_ids = Box::pin(ids.read_many(&of_ids)).await?.into_iter();
        let mut of_rows = self.lists(of_rows.into_iter()).await?.into_iter();
        let list = |index| match R::Entity::is_list_of_ids(index) {
            true => of_ids.next(),
            false => of_rows.next(),
        };
        Ok(indexes.iter().filter_map(list).collect())
    }

    async fn list_all(&self) -> Result<Rows<R::Entity>, R::Error> {
        Ok(self.read_all(Freshness::Any).await?.found.into_list())
    }

    fn overloaded(&self, why: Overloaded) -> R::Error {
        self.read.source.overloaded(why)
    }
}

impl<R: Repository> Repository for CachedRepository<R> {
    async fn save_in(&self, row: R::Entity, write: &mut Write) -> Result<Row<R>, R::Error> {
        self.read.source.save_in(row, write).await
    }

    async fn update_in(
        &self,
        row: R::Entity,
        write: &mut Write,
    ) -> Result<Option<Row<R>>, R::Error> {
        self.read.source.update_in(row, write).await
    }

    async fn delete_in(&self, id: &Id<R>, write: &mut Write) -> Result<bool, R::Error> {
        self.read.source.delete_in(id, write).await
    }

    async fn save(&self, row: R::Entity) -> Result<Row<R>, R::Error> {
        self.write_with(|source, write| Box::pin(source.save_in(row, write)))
            .await
    }

    async fn update(&self, row: R::Entity) -> Result<Option<Row<R>>, R::Error> {
        self.write_with(|source, write| Box::pin(source.update_in(row, write)))
            .await
    }

    async fn delete(&self, id: &Id<R>) -> Result<bool, R::Error> {
        let id = id.clone();
        self.write_with(|source, write| Box::pin(async move { source.delete_in(&id, write).await }))
            .await
    }
}

impl<R: Source> Clone for CachedRepository<R> {
    fn clone(&self) -> Self {
        Self {
            read: self.read.clone(),
            ids: self.ids.clone(),
        }
    }
}

impl<R: Source> fmt::Debug for CachedRepository<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CachedRepository")
            .field("kind", &R::Entity::KIND)
            .field("cache", &self.read.cache)
            .finish_non_exhaustive()
    }
}
