//! The kinds of rows: their tables, and the effects of their writes on others.

use std::future::Future;

use aside::Write;
use aside_sqlx::{SqlTable, Table};
use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;
use uuid::Uuid;

use super::store::{Dialect, Store};
use super::transaction::Transaction;
use crate::domain::{Row, TaleError};

/// A kind of row on the database `D`.
pub(crate) trait Kind<D: Dialect>: Row + Table<D> {
    fn table(store: &Store<D>) -> &SqlTable<Self, D>;

    /// Returns the text of an index value that a client chooses, if it has one.
    fn text(index: &Self::Index) -> Option<&str>;

    /// Returns the id of the existing row that an insert of this row locks
    /// first. Default: none.
    fn owner(&self) -> Option<Uuid> {
        None
    }

    /// Locks the rows that this row refers to, and takes their values. Returns
    /// an error if one of them is unknown. Default: it refers to none.
    fn settle(
        &mut self,
        _store: &Store<D>,
        _transaction: &mut Transaction<D>,
    ) -> impl Future<Output = Result<Option<TaleError>, TaleError>> + Send {
        async { Ok(None) }
    }

    /// Changes the rows that refer to this one, after its update. Default: none.
    fn follow(
        &self,
        _before: &Self,
        _store: &Store<D>,
        _transaction: &mut Transaction<D>,
        _write: &mut Write,
    ) -> impl Future<Output = Result<(), TaleError>> + Send {
        async { Ok(()) }
    }

    /// Changes them before this row, which is locked, is deleted. Default: none.
    fn leave(
        &self,
        _store: &Store<D>,
        _transaction: &mut Transaction<D>,
        _write: &mut Write,
    ) -> impl Future<Output = Result<(), TaleError>> + Send {
        async { Ok(()) }
    }
}

/// A kind of row on either database.
pub(crate) trait AnyKind: Kind<Sqlite> + Kind<Postgres> {}

impl<E: Kind<Sqlite> + Kind<Postgres>> AnyKind for E {}

/// Returns true if a row can contain this text. PostgreSQL stores no NUL and
/// refuses it in a query.
pub(super) fn storable(text: &str) -> bool {
    !text.contains('\0')
}
