//! The history of a database that has no name for it: a row with a number that
//! instances raise about once a second. A copy that is put back has a smaller number.

use aside::journal::DatabaseHistory;
use sqlx::error::DatabaseError;

/// The statement that raises the number, unless another instance did.
pub(crate) const RENEW: &str =
    "UPDATE cache_journal_history SET renewals = renewals + 1 WHERE renewals = ?";

/// Returns the history of the row that was read; `None` if that failed. A copy of
/// before there was such a table, or a row, is behind all others.
pub(crate) fn history(
    row: Result<(String, i64), sqlx::Error>,
    is_missing_table: impl FnOnce(&dyn DatabaseError) -> bool,
) -> Option<DatabaseHistory> {
    let (name, renewals) = match row {
        Ok(row) => row,
        Err(sqlx::Error::RowNotFound) => Default::default(),
        Err(sqlx::Error::Database(error)) if is_missing_table(&*error) => Default::default(),
        Err(_) => return None,
    };
    Some(DatabaseHistory {
        name,
        position: u64::try_from(renewals).ok(),
        ..DatabaseHistory::default()
    })
}
