//! The errors of a repository, and the meaning of an error of COMMIT.

use aside::repository::Overloaded;
use aside::transaction::CommitError;
use sea_orm::{DbErr, RuntimeErr};

/// The reason why a repository has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// SeaORM's error.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// Redis is out of reach, and the policy refuses writes without it.
    #[error("Redis is out of reach, and this write may not be made without it")]
    Refused,
    /// The cache did not make the load, or gave it up.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

impl From<CommitError<DbErr>> for Error {
    fn from(error: CommitError<DbErr>) -> Self {
        match error {
            CommitError::Database(error) => Self::Database(error),
            CommitError::Refused => Self::Refused,
        }
    }
}

/// Returns true if a failed COMMIT certainly changed nothing, so that
/// [`Write::rolled_back`](aside::Write::rolled_back) may be called; see
/// [`aside_sqlx::certainly_rolled_back`].
#[must_use]
pub fn certainly_rolled_back(error: &DbErr) -> bool {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => aside_sqlx::certainly_rolled_back(error),
        _ => false,
    }
}
