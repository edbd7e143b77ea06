//! The repository: the interface to the database.

pub(crate) mod erased;

use std::future::Future;
use std::sync::Arc;

use crate::entity::{Entity, Rows};
use crate::write::Write;

/// The id type of a repository's rows.
pub type Id<R> = <<R as Repository>::Entity as Entity>::Id;
/// The index type of a repository's rows.
pub type Index<R> = <<R as Repository>::Entity as Entity>::Index;
/// One row of a repository.
pub type Row<R> = Arc<<R as Repository>::Entity>;

/// The reason why a read got no result from the database.
///
/// Callers can retry later. Over HTTP it is a 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Overloaded {
    /// Redis is unavailable, and no slot of `CACHE_SOURCE_CONCURRENCY` became
    /// free while this load waited (2 s).
    #[error("too many loads run while Redis is unavailable")]
    TooManyLoads,
    /// The load took longer than `CACHE_LOAD_TIMEOUT_MS`, or its strategy's
    /// [`load_timeout`](crate::CacheStrategy::load_timeout).
    #[error("the load took too long")]
    TooSlow,
}

/// Reads rows from, and writes them to, the database.
///
/// Implement it with plain `async fn`. Reads run on the primary and outside any
/// caller's transaction. A write runs in one transaction:
///
/// 1. lock the row and read its current state;
/// 2. write, and take the new row from the same statement;
/// 3. record every change, of any kind ([`Write::created`], [`Write::updated`],
///    [`Write::deleted`]);
/// 4. call `write.before_commit().await`, and insert the keys it returns into
///    the journal if there is one;
/// 5. commit, or roll back and call [`Write::rolled_back`].
///
/// A read that exceeds the strategy's load timeout is dropped at its next await
/// point, as by a caller's own timeout.
///
/// The order matters. A copy invalidated before the row is locked can be filled
/// again with the old row. A copy invalidated after the commit is served until
/// then, or forever if the process crashes in between.
///
/// # A commit that fails
/// Without further information, an error after `before_commit` is ambiguous,
/// and the keys are read from the database for `CACHE_QUARANTINE_TTL_MS`. If
/// the server *refused* the COMMIT, for a deferred constraint or a
/// serialization failure, it is a rollback. Report it as such; otherwise one
/// invalid form every half minute disables the cache for its lists.
///
/// - sqlx: `aside_sqlx::commit(transaction, write)` does steps 4 and 5.
/// - sea-orm: `aside_sqlx::certainly_rolled_back` decides for a `DbErr` that
///   contains a `SqlxError`.
/// - diesel: a `DatabaseError` is certain, unless its kind is
///   `ClosedConnection` or `Unknown`.
/// - others: an error with a SQLSTATE is certain, unless that is `40003` or
///   begins with `08`, `57P`, `58` or `XX`. Without one, as on SQLite, a
///   successful ROLLBACK on the same connection is certain.
///
/// # Changes to record
/// | the transaction | record |
/// |---|---|
/// | inserts, updates, deletes a row | `created(&after)`, `updated(&before, &after)`, `deleted(&before)` |
/// | upserts (`ON CONFLICT`) | `upserted(before, &after)`, `before` read under its lock |
/// | marks a row as deleted, and reads omit it | `deleted(&before)` |
/// | changes a row that reads join into rows of another kind | that kind's rows as well: `updated(&row, &row)`, or `#[entity(dependents = "function")]` |
/// | returns fewer columns than reads do | the row as reads return it, read again in the transaction; or `cache_on_write` false |
/// | writes a kind that this process does not read | the same, after [`CacheService::register`](crate::CacheService::register) |
/// | changes unknown rows | `everything::<E>()` |
pub trait Repository: Send + Sync + 'static {
    /// The type of the rows.
    type Entity: Entity;

    /// The error type. It is cloned to share one failed load among its waiters;
    /// wrap a type that is not `Clone` in an `Arc`.
    type Error: Clone + Send + Sync + 'static;

    /// Returns the row with this id.
    fn find_by_id(
        &self,
        id: &Id<Self>,
    ) -> impl Future<Output = Result<Option<Row<Self>>, Self::Error>> + Send;

    /// Returns the rows with these ids, in the same order and number; an id may
    /// repeat. An absent row is `None`.
    fn find_many(
        &self,
        ids: &[Id<Self>],
    ) -> impl Future<Output = Result<Vec<Option<Row<Self>>>, Self::Error>> + Send;

    /// Returns the rows with this index value, in the repository's order.
    fn find_by(
        &self,
        index: &Index<Self>,
    ) -> impl Future<Output = Result<Rows<Self::Entity>, Self::Error>> + Send;

    /// Returns all rows, in the repository's order.
    fn list_all(&self) -> impl Future<Output = Result<Rows<Self::Entity>, Self::Error>> + Send;

    /// Inserts a row in one transaction. Returns it as stored.
    fn save_in(
        &self,
        row: Self::Entity,
        write: &mut Write,
    ) -> impl Future<Output = Result<Row<Self>, Self::Error>> + Send;

    /// Replaces the row with the same id in one transaction. Returns it as
    /// stored, or `None` if there is no such row.
    fn update_in(
        &self,
        row: Self::Entity,
        write: &mut Write,
    ) -> impl Future<Output = Result<Option<Row<Self>>, Self::Error>> + Send;

    /// Deletes a row in one transaction. Returns true if it existed.
    fn delete_in(
        &self,
        id: &Id<Self>,
        write: &mut Write,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Returns the error of a load that was rejected or abandoned for this
    /// reason.
    fn overloaded(&self, why: Overloaded) -> Self::Error;

    /// Inserts a row; see [`Repository::save_in`].
    fn save(
        &self,
        row: Self::Entity,
    ) -> impl Future<Output = Result<Row<Self>, Self::Error>> + Send {
        async move { self.save_in(row, &mut Write::uncached()).await }
    }

    /// Replaces a row; see [`Repository::update_in`].
    fn update(
        &self,
        row: Self::Entity,
    ) -> impl Future<Output = Result<Option<Row<Self>>, Self::Error>> + Send {
        async move { self.update_in(row, &mut Write::uncached()).await }
    }

    /// Deletes a row; see [`Repository::delete_in`].
    fn delete(&self, id: &Id<Self>) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        async move { self.delete_in(id, &mut Write::uncached()).await }
    }
}
