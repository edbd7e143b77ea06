//! The database: its opening, its journal and its triggers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aside::CacheService;
use aside_sqlx::{PostgresJournal, SqliteJournal, Triggers};
use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;

use super::limits::Limits;
use super::open::{self, DatabaseOptions, OpenError};
use super::plans::Plans;
use super::store::Store;
use crate::domain::{Child, Hero, Story, TaleError};

/// An open database, SQLite or PostgreSQL. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) store: Either<Arc<Store<Sqlite>>, Arc<Store<Postgres>>>,
}

/// A value for the database in use.
#[derive(Clone, Debug)]
pub(super) enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// Evaluates an expression with the store of the database in use. It is a macro
/// because the expression has another type for each.
macro_rules! on_store {
    ($database:expr, |$store:ident| $run:expr) => {
        match &$database.store {
            $crate::sql::database::Either::Sqlite($store) => $run,
            $crate::sql::database::Either::Postgres($store) => $run,
        }
    };
}
pub(super) use on_store;

impl Database {
    /// Opens `sqlite:FILE` (created if missing), `sqlite::memory:` or
    /// `postgres://...`, and brings its tables up to date.
    ///
    /// # Errors
    /// [`OpenError`], which never shows the URL.
    pub async fn open(url: &str, options: DatabaseOptions) -> Result<Self, OpenError> {
        let plans = Arc::new(Plans::new());
        let store = if url.starts_with("sqlite:") {
            let pool = open::sqlite(url, &options).await?;
            let journal = SqliteJournal::new(pool.clone());
            let limits = Limits::new(&options, false, plans);
            Either::Sqlite(Store::new(pool, journal, limits))
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let pool = open::postgres(url, &options, plans.clone()).await?;
            let journal = PostgresJournal::new(pool.clone());
            let limits = Limits::new(&options, true, plans);
            Either::Postgres(Store::new(pool, journal, limits))
        } else {
            return Err(OpenError::Url);
        };
        Ok(Self { store })
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
        match self.store {
            Either::Sqlite(_) => "sqlite",
            Either::Postgres(_) => "postgresql",
        }
    }

    /// Checks that the database replies.
    ///
    /// # Errors
    /// [`TaleError`] if it does not.
    pub async fn ping(&self) -> Result<(), TaleError> {
        on_store!(self, |store| store.ping().await)
    }

    /// Returns true if the tables are empty.
    ///
    /// # Errors
    /// [`TaleError`] if the database fails.
    pub async fn is_empty(&self) -> Result<bool, TaleError> {
        on_store!(self, |store| Ok(store.is_empty::<Hero>().await?
            && store.is_empty::<Child>().await?
            && store.is_empty::<Story>().await?))
    }

    /// Returns the number of reads so far, without those in transactions.
    #[must_use]
    pub fn reads(&self) -> u64 {
        on_store!(self, |store| store.limits.reads.load(Ordering::Relaxed))
    }

    /// Makes `cache` poll the journal of this database. It contains the writes
    /// of any process that could not reach Redis.
    pub async fn journal_for(&self, cache: &CacheService) {
        on_store!(self, |store| {
            cache.poll_journal(store.journal.clone()).await;
        });
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
            on_store!(self, |store| store.journal.install_triggers(triggers).await)?;
        }
        Ok(())
    }

    /// Removes these triggers.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_triggers(&self) -> Result<(), sqlx::Error> {
        for table in ["heroes", "children", "stories"] {
            on_store!(self, |store| store.journal.remove_triggers(table).await)?;
        }
        Ok(())
    }

    /// Closes all connections. Later reads and writes fail.
    pub async fn close(&self) {
        on_store!(self, |store| store.pool.close().await);
    }
}
