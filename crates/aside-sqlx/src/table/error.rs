//! The errors of a table.

use std::sync::Arc;

use aside::repository::Overloaded;

use crate::RecordError;

/// The reason why a [`SqlTable`](crate::SqlTable) has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The database's error. Readers of one load share it.
    #[error(transparent)]
    Database(Arc<sqlx::Error>),
    /// The row has another version: another writer changed it after it was read. Read it
    /// again, and repeat the change.
    #[error("the row was changed after it was read")]
    Outdated,
    /// Redis is out of reach, and the policy refuses writes without it.
    #[error("Redis is out of reach, and this write may not be made without it")]
    Refused,
    /// The cache did not make the load, or gave it up.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

impl From<sqlx::Error> for TableError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<RecordError> for TableError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Database(error) => error.into(),
            RecordError::Refused => Self::Refused,
        }
    }
}
