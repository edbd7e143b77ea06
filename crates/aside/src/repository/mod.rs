//! The seam to the source of truth.

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

/// Why a read got no answer from the database.
///
/// Callers can try again later. Over HTTP it is a 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Overloaded {
    /// Redis is away, and `CACHE_SOURCE_CONCURRENCY` loads ran already for as long
    /// as this one could wait (2 s).
    #[error("too many loads run while Redis is away")]
    TooManyLoads,
    /// The load took longer than `CACHE_LOAD_TIMEOUT_MS`, or than its strategy's
    /// [`load_timeout`](crate::CacheStrategy::load_timeout).
    #[error("the load took too long")]
    TooSlow,
}

/// Reads rows from, and writes them to, the source of truth.
///
/// Implement it with plain `async fn`. Reads run on the primary and outside
/// any caller's transaction. A write runs one transaction of its own:
///
/// 1. lock the row and read it as it is;
/// 2. write, and take the new row from the same statement;
/// 3. tell `write` what changed ([`Write::created`], [`Write::updated`],
///    [`Write::deleted`]), of whatever kind;
/// 4. `write.before_commit().await`, and put the keys it returns into the
///    journal if there is one;
/// 5. commit, or roll back and say so with [`Write::rolled_back`].
///
/// A read that takes longer than the strategy's load timeout is dropped where it
/// waits, as a caller's own timeout would drop it.
///
/// The order matters: a copy that is forgotten before the row is locked can
/// be filled again with the old row, and one forgotten after the commit is
/// served until then, or for ever if the process dies in between.
///
/// # A commit that fails
/// Without a word, an error after `before_commit` is ambiguous, and the keys
/// are read from the database for `CACHE_QUARANTINE_TTL_MS`. A COMMIT that the
/// server *refused*, for a deferred constraint or a serialization failure, is
/// a rollback: say so, or one such form every half minute switches the cache
/// off for its lists.
///
/// - sqlx: `aside_sqlx::commit(transaction, write)` does steps 4 and 5.
/// - sea-orm: of a `DbErr` that holds a `SqlxError`,
///   `aside_sqlx::certainly_rolled_back` tells.
/// - diesel: a `DatabaseError` is certain, unless its kind is `ClosedConnection`
///   or `Unknown`.
/// - others: an error with a SQLSTATE is certain, unless that is `40003` or
///   begins with `08`, `57P`, `58` or `XX`. Without one, ROLLBACK on the same
///   connection is certain if it succeeds, as on SQLite.
///
/// # What to say
/// | the transaction | say |
/// |---|---|
/// | inserts, updates, deletes a row | `created(&after)`, `updated(&before, &after)`, `deleted(&before)` |
/// | upserts (`ON CONFLICT`) | `upserted(before, &after)`, `before` read under its lock |
/// | marks a row as deleted, and reads leave it out | `deleted(&before)` |
/// | changes a row that reads join into rows of another kind | that kind's rows as well: `updated(&row, &row)`, or `#[entity(dependents = "function")]` |
/// | returns fewer columns than reads do | the row as reads return it, read again in the transaction; or `cache_on_write` false |
/// | writes a kind that this process does not read | the same, after [`CacheService::register`](crate::CacheService::register) |
/// | changes rows that it does not know | `everything::<E>()` |
pub trait Repository: Send + Sync + 'static {
    /// What the rows are.
    type Entity: Entity;

    /// What can go wrong. Cloned to share one failed load among its waiters;
    /// wrap what is not `Clone` in an `Arc`.
    type Error: Clone + Send + Sync + 'static;

    /// The row with this id.
    fn find_by_id(
        &self,
        id: &Id<Self>,
    ) -> impl Future<Output = Result<Option<Row<Self>>, Self::Error>> + Send;

    /// The rows with these ids, in their order; an id may repeat. An absent
    /// row is `None`. The length is that of `ids`.
    fn find_many(
        &self,
        ids: &[Id<Self>],
    ) -> impl Future<Output = Result<Vec<Option<Row<Self>>>, Self::Error>> + Send;

    /// The rows that have this index value, in the repository's own order.
    fn find_by(
        &self,
        index: &Index<Self>,
    ) -> impl Future<Output = Result<Rows<Self::Entity>, Self::Error>> + Send;

    /// All rows, in the repository's own order.
    fn list_all(&self) -> impl Future<Output = Result<Rows<Self::Entity>, Self::Error>> + Send;

    /// Adds the row, in one transaction; answers it as it was stored.
    fn save_in(
        &self,
        row: Self::Entity,
        write: &mut Write,
    ) -> impl Future<Output = Result<Row<Self>, Self::Error>> + Send;

    /// Replaces the row of the same id, in one transaction; answers it as it
    /// was stored, or `None` when there is none.
    fn update_in(
        &self,
        row: Self::Entity,
        write: &mut Write,
    ) -> impl Future<Output = Result<Option<Row<Self>>, Self::Error>> + Send;

    /// Removes the row, in one transaction; answers whether there was one.
    fn delete_in(
        &self,
        id: &Id<Self>,
        write: &mut Write,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// The error of a load that was not made, or was given up, for this reason.
    fn overloaded(&self, why: Overloaded) -> Self::Error;

    /// Adds the row; see [`Repository::save_in`].
    fn save(
        &self,
        row: Self::Entity,
    ) -> impl Future<Output = Result<Row<Self>, Self::Error>> + Send {
        async move { self.save_in(row, &mut Write::uncached()).await }
    }

    /// Replaces the row; see [`Repository::update_in`].
    fn update(
        &self,
        row: Self::Entity,
    ) -> impl Future<Output = Result<Option<Row<Self>>, Self::Error>> + Send {
        async move { self.update_in(row, &mut Write::uncached()).await }
    }

    /// Removes the row; see [`Repository::delete_in`].
    fn delete(&self, id: &Id<Self>) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        async move { self.delete_in(id, &mut Write::uncached()).await }
    }
}
