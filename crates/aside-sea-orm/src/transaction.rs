//! The transactions of SeaORM, for [`CacheService::begin`](aside::CacheService::begin).

use std::ops::Deref;

use aside::Write;
use aside::transaction::{BeginTransaction, DatabaseTransaction, FailedCommit};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait as _,
};

use crate::SeaOrmJournal;
use crate::error::certainly_rolled_back;

/// Rows of one INSERT: a number of parameters that every database accepts.
const ROWS_PER_STATEMENT: usize = 500;

/// A transaction of SeaORM, as [`CacheService::begin`](aside::CacheService::begin)
/// opens it with a [`SeaOrmJournal`].
///
/// It derefs to SeaORM's transaction, which is a connection:
/// `select.one(&*transaction)`.
#[derive(Debug)]
pub struct Transaction {
    inner: sea_orm::DatabaseTransaction,
    /// True if triggers skip its changes.
    is_marked: bool,
}

/// On MySQL up to so many rows are inserted one by one.
const MAX_ROWS_WITH_IDS: usize = 16;

impl Transaction {
    /// Begins a transaction. Marked, triggers skip its changes.
    pub(crate) async fn begin(
        connection: &DatabaseConnection,
        is_marked: bool,
    ) -> Result<Self, DbErr> {
        let backend = connection.get_database_backend();
        let options = TransactionOptions {
            // A transaction that reads first could not write after another one has.
            sqlite_transaction_mode: (backend == DbBackend::Sqlite)
                .then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let inner = connection.begin_with_options(options).await?;
        if is_marked && let Some(mark) = mark(backend) {
            inner.execute_unprepared(mark).await?;
        }
        Ok(Self { inner, is_marked })
    }

    async fn insert_chunk(&self, entries: &[String]) -> Result<Vec<i64>, DbErr> {
        let backend = self.inner.get_database_backend();
        let place = |number: usize| match backend {
            DbBackend::Postgres => format!("(${number})"),
            _ => "(?)".to_owned(),
        };
        let places: Vec<String> = (1..=entries.len()).map(place).collect();
        let places = places.join(", ");
        let values = entries.iter().map(|entry| entry.as_str().into());
        if backend == DbBackend::MySql {
            let sql = format!("INSERT INTO cache_journal (`key`) VALUES {places}");
            let insert = Statement::from_sql_and_values(backend, sql, values);
            let inserted = self.inner.execute_raw(insert).await?;
            // A statement with several rows returns the id of the first alone.
            return Ok(i64::try_from(inserted.last_insert_id())
                .into_iter()
                .collect());
        }
        let sql = format!("INSERT INTO cache_journal (key) VALUES {places} RETURNING id");
        let insert = Statement::from_sql_and_values(backend, sql, values);
        let rows = self.inner.query_all_raw(insert).await?;
        rows.iter().map(|row| row.try_get("", "id")).collect()
    }
}

impl From<sea_orm::DatabaseTransaction> for Transaction {
    /// Takes a transaction that was begun otherwise, for
    /// [`CachedTransaction::new`](aside::transaction::CachedTransaction::new). Triggers
    /// record its changes a second time. It must not be one within another: the end of
    /// a savepoint is no commit, and SeaORM does not show the depth.
    fn from(inner: sea_orm::DatabaseTransaction) -> Self {
        let is_marked = false;
        Self { inner, is_marked }
    }
}

impl Deref for Transaction {
    type Target = sea_orm::DatabaseTransaction;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DatabaseTransaction for Transaction {
    type Error = DbErr;

    async fn insert(&mut self, entries: &[String]) -> Result<Vec<i64>, DbErr> {
        let rows = match self.inner.get_database_backend() {
            // A statement with several rows returns the id of the first alone. Ids are
            // needed of kinds, which are few.
            DbBackend::MySql if entries.len() <= MAX_ROWS_WITH_IDS => 1,
            _ => ROWS_PER_STATEMENT,
        };
        let mut ids = Vec::new();
        for entries in entries.chunks(rows) {
            ids.extend(self.insert_chunk(entries).await?);
        }
        Ok(ids)
    }

    async fn commit(self) -> Result<(), FailedCommit<DbErr>> {
        if self.is_marked
            && let Some(unmark) = unmark(self.inner.get_database_backend())
            && let Err(error) = self.inner.execute_unprepared(unmark).await
        {
            let is_rolled_back = self.inner.rollback().await.is_ok();
            return Err(FailedCommit {
                error,
                is_rolled_back,
            });
        }
        self.inner.commit().await.map_err(|error| FailedCommit {
            is_rolled_back: certainly_rolled_back(&error),
            error,
        })
    }

    async fn rollback(self) -> Result<(), DbErr> {
        self.inner.rollback().await
    }
}

impl BeginTransaction for SeaOrmJournal {
    type Transaction = Transaction;

    async fn begin(&self, write: &Write) -> Result<Transaction, DbErr> {
        Transaction::begin(self.connection(), !write.is_uncached()).await
    }
}

/// Returns the statement that marks a transaction.
fn mark(backend: DbBackend) -> Option<&'static str> {
    match backend {
        #[cfg(feature = "postgres")]
        DbBackend::Postgres => Some(aside_sqlx::PostgresJournal::MARK),
        #[cfg(feature = "sqlite")]
        DbBackend::Sqlite => Some(aside_sqlx::SqliteJournal::MARK),
        _ => None,
    }
}

/// Returns the statement that removes the mark, if it does not end with the
/// transaction.
fn unmark(backend: DbBackend) -> Option<&'static str> {
    match backend {
        #[cfg(feature = "sqlite")]
        DbBackend::Sqlite => Some(aside_sqlx::SqliteJournal::UNMARK),
        _ => None,
    }
}
