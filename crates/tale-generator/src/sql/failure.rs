//! The meaning of a database error for the caller and the cache.

use aside_sqlx::TableError;
use sqlx::error::ErrorKind;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::domain::{Failure, TaleError};

/// Converts the error for a caller; `kind` names the rows of the statement.
pub(super) fn tale_error(error: TableError, kind: &'static str) -> TaleError {
    // A table has no other error for one of its transactions with the journal.
    let TableError::Database(error) = error else {
        return TaleError::Busy;
    };
    if is_unique_violation(&error) {
        return TaleError::Exists { kind };
    }
    if is_busy(&error) {
        return TaleError::Busy;
    }
    TaleError::Database(Failure::shared(error))
}

/// Returns true if the database is unreachable: stopped, starting or stopping,
/// or closed on our side.
#[must_use]
pub fn is_away(error: &TaleError) -> bool {
    let TaleError::Database(failure) = error else {
        return false;
    };
    failure.downcast_ref().is_some_and(|error| match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::Tls(_) => true,
        error => postgres_state(error)
            .is_some_and(|state| state.starts_with("08") || state.starts_with("57P")),
    })
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.kind() == ErrorKind::UniqueViolation)
}

/// Returns true if the same call may succeed later.
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
        // SQLITE_BUSY and SQLITE_LOCKED; higher bits only refine the code.
        return matches!(code & 0xff, 5 | 6);
    }
    matches!(error, sqlx::Error::PoolTimedOut)
}

fn postgres_state(error: &sqlx::Error) -> Option<&str> {
    postgres_error(error).map(PgDatabaseError::code)
}

/// Returns PostgreSQL's error, if the error is one.
pub(super) fn postgres_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let error = error.as_database_error()?;
    error.try_downcast_ref::<SqliteError>()?;
    error.code()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_away_and_a_full_pool_is_busy() {
        let gone = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        let lost = tale_error(gone.into(), "hero");
        assert!(matches!(lost, TaleError::Database(_)) && is_away(&lost));
        let busy = tale_error(sqlx::Error::PoolTimedOut.into(), "hero");
        assert!(matches!(busy, TaleError::Busy));
    }
}
