//! The beginning of a [`Change`], in a handler and in a repository.

use aside::transaction::CachedTransaction;
use aside::{Entity, Write};
use sqlx::{Database, FromRow};

use crate::change::Change;
use crate::changeable::Changeable;
use crate::{Commits, Transaction};

/// Adds [`change`](Self::change) to the transaction of
/// [`CacheService::begin`](aside::CacheService::begin).
pub trait Changes {
    /// The database.
    type Database: Commits;

    /// Describes rows of `table`, which may be `schema.table`, for a statement
    /// that changes them.
    fn change<E>(&mut self, table: &str) -> Change<'_, Self::Database, E>
    where
        Self::Database: Changeable,
        E: Entity + for<'r> FromRow<'r, <Self::Database as Database>::Row>;
}

impl<D: Commits> Changes for CachedTransaction<Transaction<D>> {
    type Database = D;

    fn change<E>(&mut self, table: &str) -> Change<'_, D, E>
    where
        D: Changeable,
        E: Entity + for<'r> FromRow<'r, D::Row>,
    {
        let (transaction, write) = self.parts();
        change(&mut **transaction, write, table)
    }
}

/// Does the same as [`Changes::change`] for a repository, which receives its
/// `write` and begins a transaction itself.
pub fn change<'t, D, E>(
    connection: &'t mut D::Connection,
    write: &'t mut Write,
    table: &str,
) -> Change<'t, D, E>
where
    D: Changeable,
    E: Entity + for<'r> FromRow<'r, D::Row>,
{
    Change::new(connection, write, table, |row| E::from_row(row), false)
}
