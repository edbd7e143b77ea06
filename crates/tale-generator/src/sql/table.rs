//! Code shared by the three tables: reading, locking, inserting, replacing and
//! deleting one row.

use std::collections::HashMap;
use std::sync::Arc;

use aside::Rows;
use uuid::Uuid;

use super::columns::{FromColumns, Present};
use super::database::Database;
use super::failure::tale_error;
use super::statement::{Statement, Value};
use super::transaction::Transaction;
use crate::domain::{Expected, Row, TaleError, now};

/// A kind of row and its statements.
pub(super) trait Table: Row + FromColumns {
    const STATEMENTS: Statements;

    /// Returns the fields that a client may write, in the order of the
    /// statements.
    fn writable(&self) -> Result<Vec<Value>, sqlx::Error>;
}

/// The statements of one table.
pub(super) struct Statements {
    /// `$1`: the id.
    pub(super) by_id: Statement,
    /// `$1`: the ids.
    pub(super) by_ids: Statement,
    /// All rows in their order.
    pub(super) all: Statement,
    /// The rows after the id `$1`, by id.
    pub(super) page: Statement,
    /// `$1`: the id. Locks the row until the transaction ends.
    pub(super) lock: Statement,
    /// The id, the writable columns, both timestamps, the version. Returns no
    /// row if the id is taken.
    pub(super) insert: Statement,
    /// The id, the writable columns, the time, the expected version or null.
    /// Increments the version. Returns no row if it is not the expected one.
    pub(super) update: Statement,
    /// The id, the expected version or null. Returns the id of the row.
    pub(super) delete: Statement,
}

pub(super) async fn find_by_id<T: Table>(
    database: &Database,
    id: Uuid,
) -> Result<Option<Arc<T>>, TaleError> {
    let rows: Vec<T> = database
        .fetch(T::STATEMENTS.by_id, vec![Value::id(id)], T::KIND)
        .await?;
    Ok(rows.into_iter().next().map(Arc::new))
}

pub(super) async fn find_many<T: Table>(
    database: &Database,
    ids: &[Uuid],
) -> Result<Vec<Option<Arc<T>>>, TaleError> {
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let rows: Vec<T> = database
        .fetch(
            T::STATEMENTS.by_ids,
            vec![Value::Ids(ids.to_vec())],
            T::KIND,
        )
        .await?;
    let found: HashMap<Uuid, Arc<T>> = rows
        .into_iter()
        .map(|row| (*row.id(), Arc::new(row)))
        .collect();
    Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
}

pub(super) async fn list<T: Table>(
    database: &Database,
    statement: Statement,
    values: Vec<Value>,
) -> Result<Rows<T>, TaleError> {
    let rows: Vec<T> = database.fetch(statement, values, T::KIND).await?;
    Ok(rows.into_iter().map(Arc::new).collect())
}

/// Reads the row and locks it against changes.
pub(super) async fn lock<T: Table>(
    transaction: &mut Transaction,
    id: Uuid,
) -> Result<Option<T>, TaleError> {
    transaction
        .fetch_first(T::STATEMENTS.lock, vec![Value::id(id)], T::KIND)
        .await
}

/// Inserts the row unchanged. Returns `None` if its id is taken.
pub(super) async fn insert<T: Table>(
    transaction: &mut Transaction,
    row: &T,
) -> Result<Option<T>, TaleError> {
    let (created_at, updated_at, version) = row.stamps();
    let mut values = vec![Value::id(*row.id())];
    values.extend(row.writable().map_err(|error| tale_error(error, T::KIND))?);
    values.extend([
        Value::Time(created_at),
        Value::Time(updated_at),
        Value::Version(Some(version)),
    ]);
    transaction
        .fetch_first(T::STATEMENTS.insert, values, T::KIND)
        .await
}

/// Replaces `before`, which is locked, and returns the stored row.
pub(super) async fn replace<T: Table>(
    transaction: &mut Transaction,
    before: &T,
    row: &T,
    expected: &Expected,
) -> Result<T, TaleError> {
    let version = expect(before, expected)?;
    let mut values = vec![Value::id(*row.id())];
    values.extend(row.writable().map_err(|error| tale_error(error, T::KIND))?);
    values.extend([Value::Time(now()), Value::Version(version)]);
    transaction
        .fetch_first(T::STATEMENTS.update, values, T::KIND)
        .await?
        .ok_or_else(|| moved_on(before))
}

/// Deletes `before`, which is locked.
pub(super) async fn delete<T: Table>(
    transaction: &mut Transaction,
    before: &T,
    expected: &Expected,
) -> Result<(), TaleError> {
    let version = expect(before, expected)?;
    let values = vec![Value::id(*before.id()), Value::Version(version)];
    let deleted: Option<Present> = transaction
        .fetch_first(T::STATEMENTS.delete, values, T::KIND)
        .await?;
    deleted.map(drop).ok_or_else(|| moved_on(before))
}

/// Checks the locked row, and returns the version that the statement must find,
/// or `None` for any.
pub(super) fn expect<T: Table>(before: &T, expected: &Expected) -> Result<Option<u64>, TaleError> {
    let (_, _, version) = before.stamps();
    match expected {
        Expected::Any => Ok(None),
        expected if expected.admits(before, version) => Ok(Some(version)),
        _ => Err(moved_on(before)),
    }
}

/// Returns the error of a statement that found no row. The row is locked, so
/// only its version can differ from the expected one.
pub(super) fn moved_on<T: Table>(before: &T) -> TaleError {
    let (_, _, current) = before.stamps();
    TaleError::Conflict { current }
}

/// Returns true if a row can contain this text. PostgreSQL stores no NUL and
/// refuses it in a query.
pub(super) fn storable(text: &str) -> bool {
    !text.contains('\0')
}
