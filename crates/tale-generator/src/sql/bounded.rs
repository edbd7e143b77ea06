//! A repository with size-limited lists.

use std::sync::Arc;

use aside::{Repository, Rows, Source, Write};

use super::pages::{IdOf, IndexOf, Pages};
use crate::domain::TaleError;

/// The reason why a read or a write failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum BoundedError {
    /// A list exceeds the limit.
    #[error("the list is too large to be read as a whole")]
    TooLarge,
    /// The repository's error.
    #[error(transparent)]
    Tale(#[from] TaleError),
}

/// The same repository, but lists of more than `bytes` are refused. They would
/// not be cached, so they are not loaded as a whole either.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<R> {
    inner: R,
    bytes: usize,
}

impl<R: Pages> Bounded<R> {
    pub(crate) fn new(inner: R, bytes: usize) -> Self {
        Self { inner, bytes }
    }

    pub(crate) fn inner(&self) -> &R {
        &self.inner
    }

    async fn list(&self, index: Option<&IndexOf<R>>) -> Result<Rows<R::Entity>, BoundedError> {
        let whole = self.inner.whole(index, self.bytes).await?;
        whole.ok_or(BoundedError::TooLarge)
    }
}

impl<R: Pages> Source for Bounded<R> {
    type Entity = R::Entity;
    type Error = BoundedError;

    async fn find_by_id(&self, id: &IdOf<R>) -> Result<Option<Arc<R::Entity>>, BoundedError> {
        Ok(self.inner.find_by_id(id).await?)
    }

    async fn find_many(
        &self,
        ids: &[IdOf<R>],
    ) -> Result<Vec<Option<Arc<R::Entity>>>, BoundedError> {
        Ok(self.inner.find_many(ids).await?)
    }

    async fn find_by(&self, index: &IndexOf<R>) -> Result<Rows<R::Entity>, BoundedError> {
        self.list(Some(index)).await
    }

    async fn list_all(&self) -> Result<Rows<R::Entity>, BoundedError> {
        self.list(None).await
    }

    fn overloaded(&self, why: aside::repository::Overloaded) -> BoundedError {
        self.inner.overloaded(why).into()
    }
}

impl<R: Pages> Repository for Bounded<R> {
    async fn save_in(
        &self,
        row: R::Entity,
        write: &mut Write,
    ) -> Result<Arc<R::Entity>, BoundedError> {
        Ok(self.inner.save_in(row, write).await?)
    }

    async fn update_in(
        &self,
        row: R::Entity,
        write: &mut Write,
    ) -> Result<Option<Arc<R::Entity>>, BoundedError> {
        Ok(self.inner.update_in(row, write).await?)
    }

    async fn delete_in(&self, id: &IdOf<R>, write: &mut Write) -> Result<bool, BoundedError> {
        Ok(self.inner.delete_in(id, write).await?)
    }
}
