//! The transactions of sqlx, for [`CacheService::begin`](aside::CacheService::begin).

use std::ops::{Deref, DerefMut};

use aside::Write;
use aside::journal::Unacknowledged;
use aside::transaction::{BeginTransaction, DatabaseTransaction, FailedCommit};

use crate::{Commits, OutOfReach, RecordError, commit};

/// A transaction of sqlx, as [`CacheService::begin`](aside::CacheService::begin)
/// opens it with a journal.
///
/// It derefs to the connection, which is an executor:
/// `query.execute(&mut *transaction)`.
#[derive(Debug)]
pub struct Transaction<D: Commits>(sqlx::Transaction<'static, D>);

impl<D: Commits> From<sqlx::Transaction<'static, D>> for Transaction<D> {
    /// Takes a transaction that was begun otherwise, for
    /// [`CachedTransaction::new`](aside::transaction::CachedTransaction::new).
    /// Use `mark` of its journal, or triggers record its changes a second time.
    fn from(transaction: sqlx::Transaction<'static, D>) -> Self {
        Self(transaction)
    }
}

impl<D: Commits> Deref for Transaction<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.0
    }
}

impl<D: Commits> DerefMut for Transaction<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.0
    }
}

impl<D: Commits> DatabaseTransaction for Transaction<D> {
    type Error = sqlx::Error;

    async fn insert(&mut self, entries: &[String]) -> Result<Vec<i64>, sqlx::Error> {
        D::insert(&mut self.0, entries).await
    }

    async fn commit(mut self) -> Result<(), FailedCommit<sqlx::Error>> {
        if let Err(error) = D::unmark(&mut self.0).await {
            let is_rolled_back = self.0.rollback().await.is_ok();
            return Err(FailedCommit {
                error,
                is_rolled_back,
            });
        }
        D::end(self.0).await
    }

    async fn rollback(self) -> Result<(), sqlx::Error> {
        self.0.rollback().await
    }
}

/// A journal begins transactions of its database, and commits them.
macro_rules! transactions {
    ($feature:literal, $journal:ident, $database:ident) => {
        #[cfg(feature = $feature)]
        impl crate::$journal {
            /// Calls [`Write::before_commit`], [`record`](Self::record)s its result,
            /// commits, and records the outcome, like [`commit`](crate::commit()). If
            /// the journal refuses the write, the transaction is rolled back.
            ///
            /// # Errors
            /// [`RecordError`].
            ///
            /// # Cancellation
            /// If dropped after the COMMIT was sent, the write is ambiguous.
            pub async fn commit(
                transaction: sqlx::Transaction<'_, sqlx::$database>,
                write: &mut Write,
                policy: OutOfReach,
            ) -> Result<(), RecordError> {
                commit::commit_recorded(transaction, write, policy).await
            }

            /// Stores the keys that Redis did not acknowledge, in the transaction of
            /// `connection`. Call it between `before_commit` and the commit. It sends
            /// nothing if there is nothing to store.
            ///
            /// # Errors
            /// [`RecordError`]. The transaction must then be rolled back, and
            /// [`Write::rolled_back`](aside::Write::rolled_back) called.
            pub async fn record(
                connection: &mut <sqlx::$database as sqlx::Database>::Connection,
                left: &Unacknowledged<'_>,
                policy: OutOfReach,
            ) -> Result<(), RecordError> {
                commit::record::<sqlx::$database>(connection, left, policy).await
            }
        }

        #[cfg(feature = $feature)]
        impl BeginTransaction for crate::$journal {
            type Transaction = Transaction<sqlx::$database>;

            async fn begin(&self, write: &Write) -> Result<Self::Transaction, sqlx::Error> {
                Ok(Transaction(Self::begin(self.pool(), write).await?))
            }
        }
    };
}

transactions!("postgres", PostgresJournal, Postgres);
transactions!("sqlite", SqliteJournal, Sqlite);
transactions!("mysql", MySqlJournal, MySql);
