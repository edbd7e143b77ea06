//! The errors of a source, and the meaning of an error of COMMIT.

use std::error::Error as StdError;
use std::sync::Arc;

use aside::repository::Overloaded;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// The reason why a source has no answer. It is cloned to share one failed load among
/// its readers.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Diesel's error.
    #[error(transparent)]
    Database(Arc<DieselError>),
    /// There is no connection.
    #[error("no connection to the database: {0}")]
    Connection(Arc<dyn StdError + Send + Sync>),
    /// The cache did not make the load, or gave it up.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Returns true if a failed COMMIT certainly changed nothing, so that
/// [`Write::rolled_back`](aside::Write::rolled_back) may be called.
///
/// Diesel shows no SQLSTATE. A kind that it knows is the server's own refusal; a closed
/// connection and an unknown kind prove nothing.
///
/// ```
/// use diesel::result::Error;
///
/// assert!(!aside_diesel::certainly_rolled_back(&Error::NotInTransaction));
/// ```
#[must_use]
pub fn certainly_rolled_back(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(kind, _) => matches!(
            kind,
            DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation
                | DatabaseErrorKind::RestrictViolation
                | DatabaseErrorKind::ExclusionViolation
                | DatabaseErrorKind::ReadOnlyTransaction
        ),
        DieselError::RollbackErrorOnCommit { commit_error, .. } => {
            certainly_rolled_back(commit_error)
        }
        _ => false,
    }
}
