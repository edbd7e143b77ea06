//! Type-erased repositories, for a choice at run time.

use std::sync::Arc;

use crate::entity::{Entity, Rows};
use crate::protocol::BoxFuture;
use crate::repository::{Id, Index, Overloaded, Repository, Row, Source};
use crate::write::Write;

/// The dyn-compatible form of [`Repository`], implemented for every repository.
///
/// `Arc<dyn ErasedRepository<E, X>>` is a [`Repository`] again, so only the
/// type of a field changes; each call costs one allocation.
///
/// ```
/// use std::sync::Arc;
/// use aside::{Entity, Repository, Source, repository::ErasedRepository};
///
/// fn choose<E: Entity, X, A, B>(first: bool, one: A, other: B) -> Arc<dyn ErasedRepository<E, X>>
/// where
///     X: Clone + Send + Sync + 'static,
///     A: Repository<Entity = E, Error = X>,
///     B: Repository<Entity = E, Error = X>,
/// {
///     if first { Arc::new(one) } else { Arc::new(other) }
/// }
/// ```
pub trait ErasedRepository<E: Entity, X>: Send + Sync + 'static {
    /// See [`Source::find_by_id`].
    fn erased_find_by_id<'a>(&'a self, id: &'a E::Id) -> BoxFuture<'a, Result<Option<Arc<E>>, X>>;

    /// See [`Source::find_many`].
    fn erased_find_many<'a>(
        &'a self,
        ids: &'a [E::Id],
    ) -> BoxFuture<'a, Result<Vec<Option<Arc<E>>>, X>>;

    /// See [`Source::find_by`].
    fn erased_find_by<'a>(&'a self, index: &'a E::Index) -> BoxFuture<'a, Result<Rows<E>, X>>;

    /// See [`Source::find_by_many`].
    fn erased_find_by_many<'a>(
        &'a self,
        indexes: &'a [E::Index],
    ) -> BoxFuture<'a, Result<Vec<Rows<E>>, X>>;

    /// See [`Source::list_all`].
    fn erased_list_all(&self) -> BoxFuture<'_, Result<Rows<E>, X>>;

    /// See [`Repository::save_in`].
    fn erased_save_in<'a>(
        &'a self,
        row: E,
        write: &'a mut Write,
    ) -> BoxFuture<'a, Result<Arc<E>, X>>;

    /// See [`Repository::update_in`].
    fn erased_update_in<'a>(
        &'a self,
        row: E,
        write: &'a mut Write,
    ) -> BoxFuture<'a, Result<Option<Arc<E>>, X>>;

    /// See [`Repository::delete_in`].
    fn erased_delete_in<'a>(
        &'a self,
        id: &'a E::Id,
        write: &'a mut Write,
    ) -> BoxFuture<'a, Result<bool, X>>;

    /// See [`Repository::save`].
    fn erased_save(&self, row: E) -> BoxFuture<'_, Result<Arc<E>, X>>;

    /// See [`Repository::update`].
    fn erased_update(&self, row: E) -> BoxFuture<'_, Result<Option<Arc<E>>, X>>;

    /// See [`Repository::delete`].
    fn erased_delete<'a>(&'a self, id: &'a E::Id) -> BoxFuture<'a, Result<bool, X>>;

    /// See [`Source::overloaded`].
    fn erased_overloaded(&self, why: Overloaded) -> X;
}

impl<R: Repository> ErasedRepository<R::Entity, R::Error> for R {
    fn erased_find_by_id<'a>(
        &'a self,
        id: &'a Id<R>,
    ) -> BoxFuture<'a, Result<Option<Row<R>>, R::Error>> {
        Box::pin(self.find_by_id(id))
    }

    fn erased_find_many<'a>(
        &'a self,
        ids: &'a [Id<R>],
    ) -> BoxFuture<'a, Result<Vec<Option<Row<R>>>, R::Error>> {
        Box::pin(self.find_many(ids))
    }

    fn erased_find_by<'a>(
        &'a self,
        index: &'a Index<R>,
    ) -> BoxFuture<'a, Result<Rows<R::Entity>, R::Error>> {
        Box::pin(self.find_by(index))
    }

    fn erased_find_by_many<'a>(
        &'a self,
        indexes: &'a [Index<R>],
    ) -> BoxFuture<'a, Result<Vec<Rows<R::Entity>>, R::Error>> {
        Box::pin(self.find_by_many(indexes))
    }

    fn erased_list_all(&self) -> BoxFuture<'_, Result<Rows<R::Entity>, R::Error>> {
        Box::pin(self.list_all())
    }

    fn erased_save_in<'a>(
        &'a self,
        row: R::Entity,
        write: &'a mut Write,
    ) -> BoxFuture<'a, Result<Row<R>, R::Error>> {
        Box::pin(self.save_in(row, write))
    }

    fn erased_update_in<'a>(
        &'a self,
        row: R::Entity,
        write: &'a mut Write,
    ) -> BoxFuture<'a, Result<Option<Row<R>>, R::Error>> {
        Box::pin(self.update_in(row, write))
    }

    fn erased_delete_in<'a>(
        &'a self,
        id: &'a Id<R>,
        write: &'a mut Write,
    ) -> BoxFuture<'a, Result<bool, R::Error>> {
        Box::pin(self.delete_in(id, write))
    }

    fn erased_save(&self, row: R::Entity) -> BoxFuture<'_, Result<Row<R>, R::Error>> {
        Box::pin(self.save(row))
    }

    fn erased_update(&self, row: R::Entity) -> BoxFuture<'_, Result<Option<Row<R>>, R::Error>> {
        Box::pin(self.update(row))
    }

    fn erased_delete<'a>(&'a self, id: &'a Id<R>) -> BoxFuture<'a, Result<bool, R::Error>> {
        Box::pin(self.delete(id))
    }

    fn erased_overloaded(&self, why: Overloaded) -> R::Error {
        self.overloaded(why)
    }
}

impl<E: Entity, X: Clone + Send + Sync + 'static> Source for Arc<dyn ErasedRepository<E, X>> {
    type Entity = E;
    type Error = X;

    async fn find_by_id(&self, id: &E::Id) -> Result<Option<Arc<E>>, X> {
        (**self).erased_find_by_id(id).await
    }

    async fn find_many(&self, ids: &[E::Id]) -> Result<Vec<Option<Arc<E>>>, X> {
        (**self).erased_find_many(ids).await
    }

    async fn find_by(&self, index: &E::Index) -> Result<Rows<E>, X> {
        (**self).erased_find_by(index).await
    }

    async fn find_by_many(&self, indexes: &[E::Index]) -> Result<Vec<Rows<E>>, X> {
        (**self).erased_find_by_many(indexes).await
    }

    async fn list_all(&self) -> Result<Rows<E>, X> {
        (**self).erased_list_all().await
    }

    fn overloaded(&self, why: Overloaded) -> X {
        (**self).erased_overloaded(why)
    }
}

impl<E: Entity, X: Clone + Send + Sync + 'static> Repository for Arc<dyn ErasedRepository<E, X>> {
    async fn save_in(&self, row: E, write: &mut Write) -> Result<Arc<E>, X> {
        (**self).erased_save_in(row, write).await
    }

    async fn update_in(&self, row: E, write: &mut Write) -> Result<Option<Arc<E>>, X> {
        (**self).erased_update_in(row, write).await
    }

    async fn delete_in(&self, id: &E::Id, write: &mut Write) -> Result<bool, X> {
        (**self).erased_delete_in(id, write).await
    }

    async fn save(&self, row: E) -> Result<Arc<E>, X> {
        (**self).erased_save(row).await
    }

    async fn update(&self, row: E) -> Result<Option<Arc<E>>, X> {
        (**self).erased_update(row).await
    }

    async fn delete(&self, id: &E::Id) -> Result<bool, X> {
        (**self).erased_delete(id).await
    }
}
