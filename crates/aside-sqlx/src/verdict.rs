//! The meaning of an error of COMMIT.

use sqlx::Error;

/// Returns true if a failed COMMIT certainly changed nothing, so that
/// [`Write::rolled_back`](aside::Write::rolled_back) may be called.
///
/// On PostgreSQL the SQLSTATE proves it, with these exceptions: a broken
/// connection (08), a server that stops (57P) or fails (58, XX), and a commit
/// with unknown outcome (40003).
///
/// On MySQL and MariaDB only SQLSTATE 40 proves it, again without 40003: a transaction
/// that the server rolled back, as a cluster or a plugin does. After any other error the
/// COMMIT may be in the binary log. A read-only server (1290) rolls back as well, but a
/// proxy sends the same code if it lost the server during the COMMIT.
///
/// An error without a code proves nothing. Neither does an error of SQLite. A
/// refused COMMIT leaves the transaction open there, and only a successful
/// ROLLBACK on the same connection ends it. [`commit`](crate::commit()) does that.
///
/// ```
/// let gone = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
/// assert!(!aside_sqlx::certainly_rolled_back(&gone));
/// ```
#[must_use]
pub fn certainly_rolled_back(error: &Error) -> bool {
    let Some(_error) = error.as_database_error() else {
        return false;
    };
    #[cfg(feature = "postgres")]
    if let Some(error) = _error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        return on_postgres(error.code());
    }
    #[cfg(feature = "mysql")]
    if let Some(error) = _error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return on_mysql(error.code());
    }
    false
}

#[cfg(feature = "postgres")]
fn on_postgres(state: &str) -> bool {
    let doubtful = ["08", "57P", "58", "XX"];
    state != "40003" && !doubtful.iter().any(|class| state.starts_with(class))
}

#[cfg(feature = "mysql")]
fn on_mysql(state: Option<&str>) -> bool {
    state.is_some_and(|state| state != "40003" && state.starts_with("40"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "postgres")]
    #[test]
    fn only_a_live_postgres_proves_a_rollback() {
        // Deferred constraint, serialization, deadlock, cancelled statement.
        for state in ["23503", "23505", "40001", "40P01", "57014", "25P03"] {
            assert!(on_postgres(state), "{state}");
        }
        // Connection lost, completion unknown, shutdown, crash, system, internal.
        for state in [
            "08006", "08P01", "40003", "57P01", "57P02", "58030", "XX000",
        ] {
            assert!(!on_postgres(state), "{state}");
        }
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn few_codes_of_mysql_prove_a_rollback() {
        // Certification failure of a cluster, a plugin's refusal.
        for state in ["40001", "40000"] {
            assert!(on_mysql(Some(state)), "{state}");
        }
        // Error during COMMIT or a read-only server, shutdown, killed session,
        // completion unknown.
        for state in ["HY000", "08S01", "70100", "40003"] {
            assert!(!on_mysql(Some(state)), "{state}");
        }
        assert!(!on_mysql(None));
    }

    #[test]
    fn an_error_without_a_state_proves_nothing() {
        let gone = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        for error in [gone, sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            assert!(!certainly_rolled_back(&error), "{error}");
        }
    }
}
