//! The journal on PostgreSQL.

mod triggers;
mod state;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aside::{
    Entity, Write,
    journal::{Journal, JournalRow, JournalState},
};
use sqlx::Executor as _;
use sqlx::postgres::{PgConnection, PgPool, Postgres};

use crate::{Commits, LAST_ID, MAX_ENTRY_CHARS, PAGE, Triggers};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS cache_journal (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()
)";

const HOT_SET: &str = "CREATE TABLE IF NOT EXISTS cache_hot_set (
    kind TEXT NOT NULL,
    part INT NOT NULL,
    keys TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, part)
)";

/// Held while tables and triggers are created. IF NOT EXISTS does not prevent
/// errors between concurrent creators.
const LOCK: i64 = 0x6173_6964_6500;

/// The journal of a PostgreSQL database, in the first schema of the search
/// path.
#[derive(Clone, Debug)]
pub struct PostgresJournal {
    pool: PgPool,
    /// When each of the statements in [`state`] was last refused.
    untold: Arc<Mutex<[Option<Instant>; 2]>>,
}

impl PostgresJournal {
    /// The statement that marks a transaction of another driver, so that triggers skip
    /// its later changes. The mark ends with the transaction.
    pub const MARK: &str = triggers::MARK;

    /// Returns the journal of a database whose table is known to exist.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let untold = Arc::default();
        Self { pool, untold }
    }

    /// Creates the tables `cache_journal` and `cache_hot_set` if they are missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn install(pool: PgPool) -> Result<Self, sqlx::Error> {
        let mut transaction = pool.begin().await?;
        lock(&mut transaction).await?;
        for table in [TABLE, HOT_SET] {
            sqlx::query(table).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(Self::new(pool))
    }

    /// Begins the transaction of a write. The triggers of
    /// [`install_triggers`](Self::install_triggers) skip its changes, because
    /// `write` itself notifies the other instances. They do not skip an
    /// [uncached](Write::is_uncached) write. It takes one round trip, like
    /// `BEGIN` alone.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(
        pool: &PgPool,
        write: &Write,
    ) -> Result<sqlx::Transaction<'static, Postgres>, sqlx::Error> {
        if write.is_uncached() {
            pool.begin().await
        } else {
            pool.begin_with(triggers::BEGIN).await
        }
    }

    /// Does the same for a transaction that was begun otherwise, with a
    /// separate statement. The triggers skip later changes by `connection` in
    /// it.
    ///
    /// # Errors
    /// The database's.
    pub async fn mark(connection: &mut PgConnection, write: &Write) -> Result<(), sqlx::Error> {
        if !write.is_uncached() {
            connection.execute(triggers::MARK).await?;
        }
        Ok(())
    }

    /// Puts triggers on a table: for each kind in `triggers`, in place of those
    /// of an earlier call for this kind. Those of other kinds stay. They
    /// record the changes of other programs in the journal, in the same
    /// transaction. Every instance then invalidates them like a write that
    /// could not reach Redis.
    ///
    /// A service can call it at each start. It changes nothing if the same
    /// triggers are there. Otherwise it waits for the transactions that use the
    /// table, and replaces the triggers in one transaction, including those of
    /// an older version of this library.
    ///
    /// They fire once per statement. They record the whole kind for TRUNCATE,
    /// and if a statement changes more than 1,000 rows or keys. They run with
    /// the rights of the role that called this. They miss writes with
    /// `session_replication_role = replica`, writes by logical replication,
    /// writes while triggers are disabled, and writes to a partition by its own
    /// name.
    ///
    /// They refuse a statement of another program only if the journal's INSERT
    /// fails, as on a full disk. If keys cannot be computed, they record the
    /// whole kind and raise a WARNING. If the table `cache_journal` is missing,
    /// they only raise a WARNING. This call computes the keys of 100 rows, so
    /// that a failing expression is refused at once.
    ///
    /// # Errors
    /// The database's, for example if a column is missing, if an expression
    /// fails for one of those rows, or if its encoding is not UTF-8.
    pub async fn install_triggers(&self, triggers: &Triggers) -> Result<(), sqlx::Error> {
        triggers::install(&self.pool, triggers).await
    }

    /// Removes the triggers of every kind from a table, and their functions.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_triggers(&self, table: &str) -> Result<(), sqlx::Error> {
        triggers::remove(&self.pool, table, None).await
    }

    /// Removes the triggers of one kind from a table. Those of other kinds stay.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_triggers_of<E: Entity>(&self, table: &str) -> Result<(), sqlx::Error> {
        triggers::remove(&self.pool, table, Some(E::KIND)).await
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl Commits for Postgres {
    async fn insert(
        connection: &mut PgConnection,
        entries: &[String],
    ) -> Result<Vec<i64>, sqlx::Error> {
        let insert = "INSERT INTO cache_journal (key) SELECT unnest($1::text[]) RETURNING id";
        let insert = sqlx::query_scalar(insert).bind(entries);
        insert.fetch_all(connection).await
    }

    async fn unmark(_: &mut PgConnection) -> Result<(), sqlx::Error> {
        // The mark ends with the transaction.
        Ok(())
    }
}

/// Serialises creators, because one of two concurrent ones would fail.
async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(connection)
        .await
        .map(drop)
}

impl Journal for PostgresJournal {
    type Error = sqlx::Error;

    async fn state(&self) -> Result<JournalState, sqlx::Error> {
        match self.told().await? {
            Some(state) if state.newest.is_none_or(|newest| newest <= LAST_ID) => Ok(state),
            told => Ok(JournalState {
                newest: self.newest().await?,
                history: told.and_then(|state| state.history),
            }),
        }
    }

    async fn newest(&self) -> Result<Option<i64>, sqlx::Error> {
        const NEWEST: &str = "SELECT max(id) FROM cache_journal";
        let newest: Option<i64> = sqlx::query_scalar(NEWEST).fetch_one(&self.pool).await?;
        if newest.is_none_or(|newest| newest <= LAST_ID) {
            return Ok(newest);
        }
        // A program chose this id. A pass ends with the newest row, so it would not end
        // while rows arrive faster than they are applied.
        let moved = sqlx::query("UPDATE cache_journal SET id = DEFAULT WHERE $1 < id")
            .bind(LAST_ID)
            .execute(&self.pool)
            .await;
        match moved {
            Ok(_) => sqlx::query_scalar(NEWEST).fetch_one(&self.pool).await,
            Err(_) => Ok(newest),
        }
    }

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, sqlx::Error> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, left(key, $3) FROM cache_journal WHERE $1 < id ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(PAGE)
        .bind(i32::try_from(MAX_ENTRY_CHARS).unwrap_or(i32::MAX))
        .fetch_all(&self.pool)
        .await?;
        let row = |(id, entry)| JournalRow { id, entry };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM cache_journal WHERE id = ANY($1)")
            .bind(ids)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn hot_set(&self, kind: &str, max_age: Duration) -> Result<Vec<String>, sqlx::Error> {
        let parts = "SELECT keys FROM cache_hot_set
              WHERE kind = $1 AND now() - make_interval(secs => $2) < at ORDER BY part";
        let parts = sqlx::query_scalar(parts).bind(kind);
        parts
            .bind(max_age.as_secs_f64())
            .fetch_all(&self.pool)
            .await
    }

    async fn replace_hot_set(&self, kind: &str, parts: &[String]) -> Result<(), sqlx::Error> {
        // One statement, and so one transaction. The DELETE sees no row of the INSERT.
        let replace = "WITH old AS (DELETE FROM cache_hot_set
                WHERE kind = $1 AND cardinality($2::text[]) < part)
            INSERT INTO cache_hot_set (kind, part, keys)
            SELECT $1, number, part FROM unnest($2::text[]) WITH ORDINALITY AS t (part, number)
            ON CONFLICT (kind, part) DO UPDATE SET keys = excluded.keys, at = excluded.at";
        let replace = sqlx::query(replace).bind(kind).bind(parts);
        replace.execute(&self.pool).await.map(drop)
    }
}
