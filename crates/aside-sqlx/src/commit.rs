//! COMMIT, and what its error proves.
//!
//! A COMMIT that the server refused is a rollback: nothing changed, and the
//! keys may be cached again at once. One whose reply never came is ambiguous,
//! and its keys stay out of the cache until the quarantine ends. Treating every
//! error as ambiguous would let one form that is refused twice a minute keep its
//! lists out of the cache of all instances.

use std::future::Future;

use aside::Write;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteTransactionManager;
use sqlx::{Database, Postgres, Sqlite, Transaction};
use sqlx_core::transaction::TransactionManager as _;

/// Calls [`Write::before_commit`], commits, and says how the transaction ended.
///
/// `write` must have been told all that the transaction changed. An error that
/// proves a rollback is passed on by [`Write::rolled_back`]; after any other
/// error the write is ambiguous, and its keys are read from the database for
/// `CACHE_QUARANTINE_TTL_MS`. A transaction with a journal is committed by
/// [`PostgresJournal::commit`](crate::PostgresJournal::commit) or
/// [`SqliteJournal::commit`](crate::SqliteJournal::commit) instead.
///
/// PostgreSQL answers the COMMIT of a transaction in which a statement failed
/// by a rollback and no error, and sqlx does not show it: pass the error of a
/// statement on instead of committing after it.
///
/// # Errors
/// The database's.
///
/// # Cancellation
/// Dropped after the COMMIT was sent, the write is ambiguous.
pub async fn commit<D: Commits>(
    transaction: Transaction<'_, D>,
    write: &mut Write,
) -> Result<(), sqlx::Error> {
    write.before_commit().await;
    end(transaction, write).await
}

/// Commits and tells `write` of a certain rollback.
pub(crate) async fn end<D: Commits>(
    transaction: Transaction<'_, D>,
    write: &mut Write,
) -> Result<(), sqlx::Error> {
    let ended = D::end(transaction).await;
    ended.map_err(|refused| {
        if refused.is_rollback {
            write.rolled_back();
        }
        refused.error
    })
}

/// Rolls back, and tells `write` if that is certain.
pub(crate) async fn abandon<D: Database>(transaction: Transaction<'_, D>, write: &mut Write) {
    if transaction.rollback().await.is_ok() {
        write.rolled_back();
    }
}

/// Returns true if a failed COMMIT certainly changed nothing, so that
/// [`Write::rolled_back`] may be called.
///
/// PostgreSQL proves it by its SQLSTATE, except for those of a connection that
/// broke (08), of a server that stops (57P) or fails (58, XX), and of a commit
/// whose end is unknown (40003). An error without a SQLSTATE proves nothing.
/// Nor does one of SQLite: a COMMIT that it refuses leaves the transaction
/// open, and only a ROLLBACK that succeeds on the same connection ends it.
/// [`commit`] does that.
///
/// ```
/// let gone = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
/// assert!(!aside_sqlx::certainly_rolled_back(&gone));
/// ```
#[must_use]
pub fn certainly_rolled_back(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    let error = error.and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    error.is_some_and(|error| proves_a_rollback(error.code()))
}

fn proves_a_rollback(state: &str) -> bool {
    let doubtful = ["08", "57P", "58", "XX"];
    state != "40003" && !doubtful.iter().any(|class| state.starts_with(class))
}

/// A COMMIT that failed.
#[derive(Debug)]
#[doc(hidden)]
pub struct Refused {
    error: sqlx::Error,
    is_rollback: bool,
}

/// The databases whose COMMIT can be judged: PostgreSQL and SQLite.
pub trait Commits: Database {
    #[doc(hidden)]
    fn end(transaction: Transaction<'_, Self>) -> impl Future<Output = Result<(), Refused>> + Send;
}

impl Commits for Postgres {
    async fn end(transaction: Transaction<'_, Self>) -> Result<(), Refused> {
        transaction.commit().await.map_err(|error| Refused {
            is_rollback: certainly_rolled_back(&error),
            error,
        })
    }
}

impl Commits for Sqlite {
    async fn end(mut transaction: Transaction<'_, Self>) -> Result<(), Refused> {
        // `Transaction::commit` rolls back where its caller cannot see how that
        // ends. Dropped after a COMMIT, the transaction finds nothing open.
        let Err(error) = SqliteTransactionManager::commit(&mut transaction).await else {
            return Ok(());
        };
        Err(Refused {
            is_rollback: transaction.rollback().await.is_ok(),
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_live_server_proves_a_rollback() {
        // Deferred constraint, serialization, deadlock, cancelled statement.
        for state in ["23503", "23505", "40001", "40P01", "57014", "25P03"] {
            assert!(proves_a_rollback(state), "{state}");
        }
        // Connection lost, completion unknown, shutdown, crash, system, internal.
        for state in [
            "08006", "08P01", "40003", "57P01", "57P02", "58030", "XX000",
        ] {
            assert!(!proves_a_rollback(state), "{state}");
        }
    }

    #[test]
    fn an_error_without_a_state_proves_nothing() {
        let gone = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        for error in [gone, sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            assert!(!certainly_rolled_back(&error), "{error}");
        }
    }
}
