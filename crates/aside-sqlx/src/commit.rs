//! COMMIT, and the meaning of its errors.
//!
//! A COMMIT that the server refused is a rollback. Nothing changed, and the
//! keys may be cached again at once. A COMMIT whose reply never arrived is
//! ambiguous. Its keys stay out of the cache until the quarantine ends.
//! Treating every error as ambiguous would be costly. One form that is refused
//! twice a minute would keep its lists out of the cache of all instances.

use std::future::Future;

use aside::Write;
use aside::journal::Unacknowledged;
use aside::transaction::FailedCommit;
use sqlx::{Database, Transaction};
use sqlx_core::transaction::TransactionManager;

use crate::{OutOfReach, RecordError, certainly_rolled_back};

/// Calls [`Write::before_commit`], commits, and records the outcome in `write`.
///
/// `write` must contain everything that the transaction changed. An error that
/// proves a rollback is recorded by [`Write::rolled_back`]. After any other
/// error the write is ambiguous, and its keys are read from the database for
/// `CACHE_QUARANTINE_TTL_MS`. For a transaction with a journal use the journal's
/// `commit`.
///
/// If a statement of the transaction failed, PostgreSQL replies to COMMIT with
/// a rollback and no error, and sqlx does not show it. So return the error of a
/// statement instead of committing after it.
///
/// # Errors
/// The database's. A transaction within another one is refused and rolled back, because
/// its end is no commit.
///
/// # Cancellation
/// If dropped after the COMMIT was sent, the write is ambiguous.
pub async fn commit<D: Commits>(
    transaction: Transaction<'_, D>,
    write: &mut Write,
) -> Result<(), sqlx::Error> {
    let _ = write.before_commit().await;
    end(transaction, write).await
}

/// Commits, and records a certain rollback in `write`.
async fn end<D: Commits>(
    transaction: Transaction<'_, D>,
    write: &mut Write,
) -> Result<(), sqlx::Error> {
    let depth = <D::TransactionManager as TransactionManager>::get_transaction_depth(&transaction);
    let ended = match depth {
        0 | 1 => D::end(transaction).await,
        _ => refuse_savepoint(transaction).await,
    };
    ended.map_err(|failed| {
        if failed.is_rolled_back {
            write.rolled_back();
        }
        failed.error
    })
}

/// Rolls back to a savepoint. Its release would be no commit: a reader could cache the
/// row of before, while the outer transaction goes on.
async fn refuse_savepoint<D: Commits>(
    transaction: Transaction<'_, D>,
) -> Result<(), FailedCommit<sqlx::Error>> {
    let is_rolled_back = transaction.rollback().await.is_ok();
    let error = "a savepoint cannot be committed: commit the outer transaction instead";
    Err(FailedCommit {
        error: sqlx::Error::Configuration(error.into()),
        is_rolled_back,
    })
}

/// Stores the keys that Redis did not acknowledge, as the policy says, and
/// removes the mark of the transaction.
pub(crate) async fn record<D: Commits>(
    connection: &mut D::Connection,
    left: &Unacknowledged<'_>,
    policy: OutOfReach,
) -> Result<(), RecordError> {
    if policy.is_to_record(left)? {
        if !left.is_empty() {
            D::insert(connection, left.keys()).await?;
        }
        let kinds: Vec<String> = left.kinds().collect();
        if !kinds.is_empty() {
            left.record_journal_ids(&D::insert(connection, &kinds).await?);
        }
    }
    Ok(D::unmark(connection).await?)
}

/// Commits if the journal records the write. Otherwise rolls back, and records it in
/// `write` if it is certain.
pub(crate) async fn commit_recorded<D: Commits>(
    mut transaction: Transaction<'_, D>,
    write: &mut Write,
    policy: OutOfReach,
) -> Result<(), RecordError> {
    let left = write.before_commit().await;
    if let Err(error) = record::<D>(&mut transaction, &left, policy).await {
        if transaction.rollback().await.is_ok() {
            write.rolled_back();
        }
        return Err(error);
    }
    Ok(end(transaction, write).await?)
}

/// The databases whose COMMIT can be judged: PostgreSQL, SQLite and MySQL, each with
/// its feature.
pub trait Commits: Database {
    #[doc(hidden)]
    fn end(
        transaction: Transaction<'_, Self>,
    ) -> impl Future<Output = Result<(), FailedCommit<sqlx::Error>>> + Send {
        async {
            let ended = transaction.commit().await;
            ended.map_err(|error| FailedCommit {
                is_rolled_back: certainly_rolled_back(&error),
                error,
            })
        }
    }

    /// Inserts rows into the journal, and returns their ids.
    #[doc(hidden)]
    fn insert(
        connection: &mut Self::Connection,
        entries: &[String],
    ) -> impl Future<Output = Result<Vec<i64>, sqlx::Error>> + Send;

    /// Removes the mark of a transaction, if it does not end with it.
    #[doc(hidden)]
    fn unmark(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}
