//! What a database's error means to the caller, and to the cache.

use sqlx::error::ErrorKind;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::domain::{Failure, TaleError};

/// The error as a caller sees it; `kind` names the rows it was about.
pub(super) fn tale_error(error: sqlx::Error, kind: &'static str) -> TaleError {
    if is_unique_violation(&error) {
        return TaleError::Exists { kind };
    }
    if is_busy(&error) {
        return TaleError::Busy;
    }
    TaleError::Database(Failure::new(error))
}

/// Whether a failed COMMIT certainly did not commit.
///
/// PostgreSQL says so by its SQLSTATE, except for those of a connection that
/// broke, a server that stops, a system that failed, or a pooler in between
/// that speaks for it. What SQLite says about a COMMIT proves nothing: sqlx
/// rolls back afterwards where it cannot be observed.
pub(super) fn certainly_rolled_back(error: &sqlx::Error) -> bool {
    let Some(state) = postgres_state(error) else {
        return false;
    };
    let unclear = ["08", "57P", "58", "XX"]
        .iter()
        .any(|class| state.starts_with(class))
        || state == "40003";
    !unclear
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.kind() == ErrorKind::UniqueViolation)
}

/// Whether the same call may succeed later as it is.
fn is_busy(error: &sqlx::Error) -> bool {
    if let Some(state) = postgres_state(error) {
        // Serialization failure, deadlock, lock or statement or transaction
        // timeout, too many connections.
        return matches!(
            state,
            "40001" | "40P01" | "55P03" | "57014" | "25P03" | "25P04" | "53300"
        );
    }
    if let Some(code) = sqlite_code(error) {
        // SQLITE_BUSY and SQLITE_LOCKED; the upper bits only refine them.
        return matches!(code & 0xff, 5 | 6);
    }
    matches!(error, sqlx::Error::PoolTimedOut)
}

fn postgres_state(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    Some(error.try_downcast_ref::<PgDatabaseError>()?.code())
}

fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let error = error.as_database_error()?;
    error.try_downcast_ref::<SqliteError>()?;
    error.code()?.parse().ok()
}
