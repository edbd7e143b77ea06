//! The repository: the interface to the database.

pub(crate) mod source;
pub(crate) mod in_order;
pub(crate) mod erased;

use std::future::Future;

pub use erased::ErasedRepository;
pub use source::{Id, Index, Overloaded, Row, Source};

use crate::write::Write;

/// Writes rows to the database, and reads them as a [`Source`].
///
/// Implement it with plain `async fn`. A write runs in one transaction:
///
/// 1. lock the row and read its current state;
/// 2. write, and take the new row from the same statement;
/// 3. record every change, of any kind ([`Write::created`], [`Write::updated`],
///    [`Write::deleted`]);
/// 4. call `write.before_commit().await`, and insert the keys it returns into
///    the journal if there is one;
/// 5. commit, or roll back and call [`Write::rolled_back`].
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
/// - SeaORM: `aside_sea_orm::SeaOrm` does all steps. `aside_sea_orm::certainly_rolled_back`
///   decides for a `DbErr`.
/// - diesel: `aside_diesel::transaction` does steps 4 and 5.
///   `aside_diesel::certainly_rolled_back` decides for an error of diesel.
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
/// | changes a row that reads join into rows of another kind | that kind's rows as well: [`Write::invalidate_id`], or `#[entity(dependents = "function")]` |
/// | changes rows of which only a condition is known | `change` of `aside-sqlx`, which locks and reads them first |
/// | returns fewer columns than reads do | the row as reads return it, read again in the transaction; or `cache_on_write` false |
/// | writes a kind that this process does not read | the same, after [`CacheService::register`](crate::CacheService::register) |
/// | changes unknown rows | `whole_kind::<E>()` |
pub trait Repository: Source {
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
