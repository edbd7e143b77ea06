//! Transactions that invalidate their changes, on a borrowed connection or on one that
//! they own.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::{Deref, DerefMut};

use aside::transaction::{
    BeginTransaction, CommitError, DatabaseTransaction, FailedCommit, OutOfReach, commit,
};
use aside::{CacheService, Write};
use diesel::result::Error as DieselError;
use diesel::sql_types::{Array, BigInt, Text};
use diesel::{QueryResult, QueryableByName};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl as _, TransactionManager as _};

use crate::DieselJournal;
use crate::connections::Connection;
use crate::error::{Error, certainly_rolled_back};

type Manager = <AsyncPgConnection as AsyncConnection>::TransactionManager;

/// The mark of the library's own transactions, which triggers skip. It ends with the
/// transaction.
const MARK: &str = "SET LOCAL aside.writer = 'on'";

/// A transaction of [`CacheService::begin`](aside::CacheService::begin) with a
/// [`DieselJournal`].
///
/// It derefs to the connection: `query.load(&mut *transaction)`. Dropped, it rolls back
/// when the pool closes its connection: bb8 does so at once, deadpool when it would give
/// the connection to another caller. Until then its rows stay locked, so call
/// [`rollback`](aside::transaction::CachedTransaction::rollback) before an early return.
pub struct Transaction<C = Connection>(C);

impl<C: DerefMut<Target = AsyncPgConnection>> Transaction<C> {
    async fn begin(mut connection: C, write: &Write) -> QueryResult<Self> {
        // A savepoint inside another transaction would not be a commit.
        let state = Manager::transaction_manager_status_mut(&mut *connection);
        if state.transaction_depth()?.is_some() {
            return Err(DieselError::AlreadyInTransaction);
        }
        Manager::begin_transaction(&mut *connection).await?;
        if !write.is_uncached()
            && let Err(error) = diesel::sql_query(MARK).execute(&mut *connection).await
        {
            Manager::rollback_transaction(&mut *connection).await?;
            return Err(error);
        }
        Ok(Self(connection))
    }
}

/// Runs a closure in a transaction of `connection`, as diesel does, and invalidates the
/// changes that it records in the `write`. Returns its value once they are committed.
///
/// Keys that Redis does not acknowledge are inserted into the journal, so its table must
/// exist ([`DieselJournal::install`]). An error of the closure rolls back, and no key was
/// affected.
///
/// # Errors
/// The closure's, or diesel's. [`DieselError::AlreadyInTransaction`] if the connection is
/// in a transaction: a savepoint is no commit.
///
/// # Cancellation
/// The connection is borrowed, so the commit runs in the caller's future. If that is
/// dropped after the COMMIT was sent, the write is ambiguous, and its keys are read from
/// the database for `CACHE_QUARANTINE_TTL_MS`.
/// [`CacheService::begin`](aside::CacheService::begin) has a commit that goes on.
pub async fn transaction<T, E: From<DieselError>>(
    cache: &CacheService,
    connection: &mut AsyncPgConnection,
    work: impl AsyncFnOnce(&mut AsyncPgConnection, &mut Write) -> Result<T, E>,
) -> Result<T, E> {
    let mut write = cache.write();
    let mut transaction = Transaction::begin(connection, &write).await?;
    let value = match work(&mut transaction, &mut write).await {
        Ok(value) => value,
        Err(error) => {
            transaction.rollback().await?;
            return Err(error);
        }
    };
    match commit(transaction, &mut write, OutOfReach::Journal).await {
        Ok(()) => {}
        Err(CommitError::Database(error)) => return Err(error.into()),
        // Only another policy refuses.
        Err(CommitError::Refused) => return Err(DieselError::RollbackTransaction.into()),
    }
    write.committed().await;
    Ok(value)
}

impl<C: Deref<Target = AsyncPgConnection>> Deref for Transaction<C> {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.0
    }
}

impl<C: DerefMut<Target = AsyncPgConnection>> DerefMut for Transaction<C> {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.0
    }
}

impl<C> fmt::Debug for Transaction<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transaction")
            .finish_non_exhaustive()
    }
}

#[derive(QueryableByName)]
struct Inserted {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

impl<C: DerefMut<Target = AsyncPgConnection> + Send> DatabaseTransaction for Transaction<C> {
    type Error = DieselError;

    async fn insert(&mut self, entries: &[String]) -> QueryResult<Vec<i64>> {
        let insert = "INSERT INTO cache_journal (key) SELECT unnest($1) RETURNING id";
        let insert = diesel::sql_query(insert).bind::<Array<Text>, _>(entries);
        let rows: Vec<Inserted> = insert.load(&mut *self.0).await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    async fn commit(mut self) -> Result<(), FailedCommit<DieselError>> {
        // A dropped inner transaction leaves its savepoint, whose release is no commit.
        if 1 < depth(&mut self.0) {
            return Err(FailedCommit {
                is_rolled_back: roll_back(&mut self.0).await.is_ok(),
                error: DieselError::AlreadyInTransaction,
            });
        }
        let ended = Manager::commit_transaction(&mut *self.0).await;
        ended.map_err(|error| FailedCommit {
            is_rolled_back: certainly_rolled_back(&error),
            error,
        })
    }

    async fn rollback(mut self) -> QueryResult<()> {
        roll_back(&mut self.0).await
    }
}

/// Returns how many transactions are open, one within the other; 0 if it is unknown.
fn depth(connection: &mut AsyncPgConnection) -> u32 {
    let state = Manager::transaction_manager_status_mut(connection);
    let depth = state.transaction_depth().ok().flatten();
    depth.map_or(0, NonZeroU32::get)
}

/// Rolls back to each savepoint, and then the transaction.
async fn roll_back(connection: &mut AsyncPgConnection) -> QueryResult<()> {
    while 1 < depth(connection) {
        Manager::rollback_transaction(connection).await?;
    }
    Manager::rollback_transaction(connection).await
}

impl BeginTransaction for DieselJournal {
    type Transaction = Transaction;

    async fn begin(&self, write: &Write) -> QueryResult<Transaction> {
        let connection = self.connections().get().await.map_err(unconnected)?;
        Transaction::begin(connection, write).await
    }
}

/// Returns a failure to connect as diesel's error, which has no such variant.
fn unconnected(error: Error) -> DieselError {
    DieselError::QueryBuilderError(Box::new(error))
}
