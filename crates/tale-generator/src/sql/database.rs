//! The database: it runs reads and begins transactions.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aside::{CacheService, Write};
use aside_sqlx::{PostgresJournal, SqliteJournal, Triggers};
use futures_util::TryStreamExt as _;
use serde::Serialize;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::availability::{Availability, Work};
use super::columns::{FromColumns, Present, read_postgres, read_sqlite};
use super::gather::{Most, Page, gather};
use super::open::{self, CommitStep, DatabaseOptions, OpenError};
use super::places::{PagePlace, Places};
use super::plans::Plans;
use super::statement::{Statement, Value};
use super::transaction::Transaction;
use crate::domain::{Child, Hero, Story, TaleError};

/// An open database, SQLite or PostgreSQL. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    limits: Arc<Limits>,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

#[derive(Debug)]
struct Limits {
    longest_transaction: Duration,
    availability: Arc<Availability>,
    places: Places,
    read_delay: Duration,
    at_commit: Option<fn(CommitStep)>,
    reads: AtomicU64,
}

impl Database {
    /// Opens `sqlite:FILE` (created if missing), `sqlite::memory:` or
    /// `postgres://...`, and brings its tables up to date.
    ///
    /// # Errors
    /// [`OpenError`], which never shows the URL.
    pub async fn open(url: &str, options: DatabaseOptions) -> Result<Self, OpenError> {
        let plans = Arc::new(Plans::new());
        let pool = if url.starts_with("sqlite:") {
            Pool::Sqlite(open::sqlite(url, &options).await?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Pool::Postgres(open::postgres(url, &options, plans.clone()).await?)
        } else {
            return Err(OpenError::Url);
        };
        let remote = matches!(pool, Pool::Postgres(_));
        Ok(Self {
            pool,
            limits: Arc::new(Limits {
                longest_transaction: options.longest_transaction,
                availability: Arc::new(Availability::new(remote, plans)),
                places: Places::new(options.max_connections, options.acquire_timeout),
                read_delay: options.read_delay,
                at_commit: options.at_commit,
                reads: AtomicU64::new(0),
            }),
        })
    }

    /// Returns true if [`open`](Self::open) supports this URL. It does not
    /// connect.
    #[must_use]
    pub fn understands(url: &str) -> bool {
        open::understands(url)
    }

    /// Returns `sqlite` or `postgresql`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.pool {
            Pool::Sqlite(_) => "sqlite",
            Pool::Postgres(_) => "postgresql",
        }
    }

    /// Checks that the database replies.
    ///
    /// # Errors
    /// [`TaleError`] if it does not.
    pub async fn ping(&self) -> Result<(), TaleError> {
        let question = async {
            match &self.pool {
                Pool::Sqlite(pool) => sqlx::query("SELECT 1").execute(pool).await.map(drop),
                Pool::Postgres(pool) => {
                    let mut connection = pool.acquire().await?;
                    let _held = self.limits.availability.hold();
                    let one = sqlx::query("SELECT 1").execute(&mut *connection);
                    one.await.map(drop)
                }
            }
        };
        self.within_the_limit(question, "row", Work::Read).await
    }

    /// Returns true if the tables are empty.
    ///
    /// # Errors
    /// [`TaleError`] if the database fails.
    pub async fn is_empty(&self) -> Result<bool, TaleError> {
        const ANY: Statement = Statement::both(
            "SELECT id FROM heroes UNION ALL SELECT id FROM children
             UNION ALL SELECT id FROM stories LIMIT 1",
        );
        let rows: Vec<Present> = self.fetch(ANY, vec![], "row").await?;
        Ok(rows.is_empty())
    }

    /// Returns the number of reads so far, without those in transactions.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.limits.reads.load(Ordering::Relaxed)
    }

    /// Makes `cache` poll the journal of this database. It contains the writes
    /// of any process that could not reach Redis.
    pub async fn journal_for(&self, cache: &CacheService) {
        match &self.pool {
            Pool::Sqlite(pool) => cache.poll_journal(SqliteJournal::new(pool.clone())).await,
            Pool::Postgres(pool) => cache.poll_journal(PostgresJournal::new(pool.clone())).await,
        }
    }

    /// Puts triggers on the three tables. Every instance whose
    /// `CACHE_NAMESPACE` is `namespace` then invalidates rows that other
    /// programs write.
    ///
    /// # Errors
    /// The database's.
    pub async fn install_triggers(&self, namespace: &str) -> Result<(), sqlx::Error> {
        let tables = [
            Triggers::of::<Hero>("heroes", namespace),
            Triggers::of::<Child>("children", namespace),
            Triggers::of::<Story>("stories", namespace),
        ];
        for triggers in &tables {
            match &self.pool {
                Pool::Sqlite(pool) => {
                    let journal = SqliteJournal::new(pool.clone());
                    journal.install_triggers(triggers).await?;
                }
                Pool::Postgres(pool) => {
                    let journal = PostgresJournal::new(pool.clone());
                    journal.install_triggers(triggers).await?;
                }
            }
        }
        Ok(())
    }

    /// Removes these triggers.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_triggers(&self) -> Result<(), sqlx::Error> {
        for table in ["heroes", "children", "stories"] {
            match &self.pool {
                Pool::Sqlite(pool) => {
                    let journal = SqliteJournal::new(pool.clone());
                    journal.remove_triggers(table).await?;
                }
                Pool::Postgres(pool) => {
                    let journal = PostgresJournal::new(pool.clone());
                    journal.remove_triggers(table).await?;
                }
            }
        }
        Ok(())
    }

    /// Closes all connections. Later reads and writes fail.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// Reads rows outside any transaction.
    pub(super) async fn fetch<T: FromColumns>(
        &self,
        statement: Statement,
        values: Vec<Value>,
        kind: &'static str,
    ) -> Result<Vec<T>, TaleError> {
        self.limits.reads.fetch_add(1, Ordering::Relaxed);
        if !self.limits.read_delay.is_zero() {
            sleep(self.limits.read_delay).await;
        }
        once_more!({
            let values = values.clone();
            let rows = async {
                match &self.pool {
                    Pool::Sqlite(pool) => {
                        let rows = statement.for_sqlite(values)?.fetch_all(pool).await?;
                        read_sqlite(&rows)
                    }
                    Pool::Postgres(pool) => {
                        let mut connection = pool.acquire().await?;
                        let _held = self.limits.availability.hold();
                        let query = statement.for_postgres(values);
                        read_postgres(&query.fetch_all(&mut *connection).await?)
                    }
                }
            };
            let read = self.within_the_limit(rows, kind, Work::Read).await;
            read.inspect(|_| self.limits.availability.done(Work::Read))
        })
    }

    /// Waits for a place for the read of one page.
    pub(super) async fn place_of_page(&self) -> Result<PagePlace, TaleError> {
        self.limits.places.of_page().await
    }

    /// Reads rows one by one, up to `most`. If the first row is `wanted`, it is
    /// read at any size.
    pub(super) async fn fetch_most<T: FromColumns + Serialize>(
        &self,
        statement: Statement,
        values: Vec<Value>,
        kind: &'static str,
        most: Most,
        wanted: bool,
    ) -> Result<Page<T>, TaleError> {
        self.limits.reads.fetch_add(1, Ordering::Relaxed);
        if !self.limits.read_delay.is_zero() {
            sleep(self.limits.read_delay).await;
        }
        once_more!({
            let values = values.clone();
            let page = async {
                match &self.pool {
                    Pool::Sqlite(pool) => {
                        let query = statement.for_sqlite(values)?;
                        let rows = query.fetch(pool);
                        gather(rows.map_ok(|row| T::from_columns(&row)), most, wanted).await
                    }
                    Pool::Postgres(pool) => {
                        let mut connection = pool.acquire().await?;
                        let _held = self.limits.availability.hold();
                        let query = statement.for_postgres(values);
                        let rows = query.fetch(&mut *connection);
                        gather(rows.map_ok(|row| T::from_columns(&row)), most, wanted).await
                    }
                }
            };
            let read = self.within_the_limit(page, kind, Work::Read).await;
            read.inspect(|_| self.limits.availability.done(Work::Read))
        })
    }

    /// Begins the transaction of a write. `row` is the id of the existing row
    /// that it locks first, if any.
    pub(super) async fn begin(
        &self,
        write: &Write,
        row: Option<Uuid>,
    ) -> Result<Transaction, TaleError> {
        let place = self.limits.places.of_write(row).await?;
        let (limit, availability) = self.for_a_transaction();
        let begun = async {
            match &self.pool {
                // IMMEDIATE takes the write lock at once, so no other write can
                // change rows between reading and writing them.
                Pool::Sqlite(pool) => SqliteJournal::begin(pool, write)
                    .await
                    .map(|inner| Transaction::sqlite(inner, limit, availability)),
                Pool::Postgres(pool) => PostgresJournal::begin(pool, write)
                    .await
                    .map(|inner| Transaction::postgres(inner, limit, availability)),
            }
        };
        let mut begun = self.within_the_limit(begun, "row", Work::Write).await?;
        begun.at_commit = self.limits.at_commit;
        begun.place = Some(place);
        Ok(begun)
    }

    /// Begins a transaction that reads all rows as of one moment, with no limit
    /// on its duration.
    pub(super) async fn begin_snapshot(&self) -> Result<Transaction, TaleError> {
        const WITHOUT_LIMITS: &str = "SELECT set_config(name, '0', true) FROM pg_settings
             WHERE name IN ('transaction_timeout', 'idle_in_transaction_session_timeout')";
        let (limit, availability) = self.for_a_transaction();
        let begun = async {
            match &self.pool {
                Pool::Sqlite(pool) => {
                    let inner = pool.begin().await?;
                    Ok(Transaction::sqlite(inner, limit, availability))
                }
                Pool::Postgres(pool) => {
                    let mut inner = pool
                        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                        .await?;
                    sqlx::query(WITHOUT_LIMITS).execute(&mut *inner).await?;
                    Ok(Transaction::postgres(inner, limit, availability))
                }
            }
        };
        self.within_the_limit(begun, "row", Work::Read).await
    }

    /// A silent peer causes no error, so only this timeout ends the wait.
    async fn within_the_limit<T>(
        &self,
        asked: impl Future<Output = Result<T, sqlx::Error>>,
        kind: &'static str,
        work: Work,
    ) -> Result<T, TaleError> {
        let begun = Instant::now();
        let outcome = timeout(self.limits.longest_transaction, asked)
            .await
            .map_err(|_| TaleError::Busy)?;
        self.limits.availability.judge(begun, outcome, kind, work)
    }

    fn for_a_transaction(&self) -> (Duration, Arc<Availability>) {
        let limits = &self.limits;
        (limits.longest_transaction, limits.availability.clone())
    }
}
