//! The journal on PostgreSQL.

mod triggers;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aside::{
    Write,
    journal::{DatabaseHistory, Journal, JournalRow, JournalState, Unacknowledged},
};
use sqlx::Executor as _;
use sqlx::postgres::{PgConnection, PgPool, Postgres};

use crate::{
    LAST_ID, MAX_ENTRY_CHARS, OutOfReach, PAGE, RecordError, Triggers, commit, is_to_record,
};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS cache_journal (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()
)";

/// Held while tables and triggers are created. IF NOT EXISTS does not prevent
/// errors between concurrent creators.
const LOCK: i64 = 0x6173_6964_6500;

/// The journal of a PostgreSQL database, in the first schema of the search
/// path.
#[derive(Clone, Debug)]
pub struct PostgresJournal {
    pool: PgPool,
    /// When each of [`STATES`] was last refused.
    untold: Arc<Mutex<[Option<Instant>; 2]>>,
}

impl PostgresJournal {
    /// Returns the journal of a database whose table is known to exist.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let untold = Arc::default();
        Self { pool, untold }
    }

    /// Creates the table `cache_journal` if it is missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn install(pool: PgPool) -> Result<Self, sqlx::Error> {
        let mut transaction = pool.begin().await?;
        lock(&mut transaction).await?;
        sqlx::query(TABLE).execute(&mut *transaction).await?;
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

    /// Puts triggers on a table, in place of those of an earlier call. They
    /// record the changes of other programs in the journal, in the same
    /// transaction. Every instance then invalidates them like a write that
    /// could not reach Redis.
    ///
    /// They fire once per statement. They record the whole kind for TRUNCATE,
    /// and if a statement changes more than 1,000 rows or keys. They run with
    /// the rights of the role that called this. They miss writes with
    /// `session_replication_role = replica`, writes by logical replication,
    /// writes while triggers are disabled, and writes to a partition by its own
    /// name. Remove them before a migration that changes the columns they read.
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

    /// Removes the triggers of a table, and their functions.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_triggers(&self, table: &str) -> Result<(), sqlx::Error> {
        triggers::remove(&self.pool, table).await
    }

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
        mut transaction: sqlx::Transaction<'_, Postgres>,
        write: &mut Write,
        policy: OutOfReach,
    ) -> Result<(), RecordError> {
        let left = write.before_commit().await;
        let recorded = Self::record(&mut transaction, &left, policy).await;
        commit::end_recorded(transaction, write, recorded).await
    }

    /// Stores the keys that Redis did not acknowledge, in the transaction of
    /// `connection`. Call it between `before_commit` and the commit. It sends
    /// nothing if there is nothing to store.
    ///
    /// # Errors
    /// [`RecordError`]. The transaction must then be rolled back, and
    /// [`Write::rolled_back`](aside::Write::rolled_back) called.
    pub async fn record(
        connection: &mut PgConnection,
        left: &Unacknowledged<'_>,
        policy: OutOfReach,
    ) -> Result<(), RecordError> {
        const INSERT: &str = "INSERT INTO cache_journal (key) SELECT unnest($1::text[])";
        const INSERT_KINDS: &str =
            "INSERT INTO cache_journal (key) SELECT unnest($1::text[]) RETURNING id";
        if is_to_record(left, policy)? {
            if !left.is_empty() {
                let insert = sqlx::query(INSERT).bind(left.keys());
                insert.execute(&mut *connection).await?;
            }
            let kinds: Vec<String> = left.kinds().collect();
            if !kinds.is_empty() {
                let insert = sqlx::query_scalar(INSERT_KINDS).bind(kinds);
                let ids: Vec<i64> = insert.fetch_all(connection).await?;
                left.record_journal_ids(&ids);
            }
        }
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

/// The statements that a poll begins with. The second is for users that may not read
/// the control file. They return the newest id, the system and its timeline, the
/// flushed position of its log, the start time of the server, and the position of its
/// last checkpoint.
///
/// The flushed position, because a server that crashes may lose the rest of its log
/// without having gone back. A server makes a checkpoint at its start, where its log
/// ended. So a copy of the files is behind there even if the copied server has
/// written much since.
///
/// During recovery the end of the log cannot be read. A replica returns no position,
/// and continues as another timeline when it is promoted.
const STATES: [&str; 2] = [
    "SELECT (SELECT max(id) FROM cache_journal),
            CASE WHEN pg_is_in_recovery() THEN '' ELSE
                system_identifier || '/' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8)
            END,
            CASE WHEN pg_is_in_recovery() THEN NULL ELSE
                (pg_current_wal_flush_lsn() - '0/0')::bigint
            END,
            CASE WHEN pg_is_in_recovery() THEN '' ELSE
                extract(epoch FROM pg_postmaster_start_time())::text
            END,
            (checkpoint_lsn - '0/0')::bigint
       FROM pg_control_system(), pg_control_checkpoint()",
    // Without the control file.
    "SELECT (SELECT max(id) FROM cache_journal), '',
            CASE WHEN pg_is_in_recovery() THEN NULL ELSE
                (pg_current_wal_flush_lsn() - '0/0')::bigint
            END,
            '', NULL::bigint",
];

/// How long a statement that failed is not tried again, because each failure is a line
/// in the server's log.
const UNTOLD_FOR: Duration = Duration::from_secs(60);

type State = (Option<i64>, String, Option<i64>, String, Option<i64>);

impl PostgresJournal {
    /// Returns true if a statement that failed before may be tried again.
    fn is_to_try(&self, statement: usize) -> bool {
        let untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold[statement].is_none_or(|at| UNTOLD_FOR <= at.elapsed())
    }

    fn refused(&self, statement: usize, error: &sqlx::Error) {
        // A server that starts, stops or has no memory refuses everything for a while.
        let code = error.as_database_error().and_then(|error| error.code());
        let for_a_while = ["08", "53", "57"];
        if code.is_none_or(|code| !for_a_while.iter().any(|class| code.starts_with(class))) {
            let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
            untold[statement] = Some(Instant::now());
        }
    }

    /// Returns the state of the database, or `None` if it is not known: of a replica, of
    /// some managed servers, and of a server that refuses it to this user.
    async fn told(&self) -> Result<Option<JournalState>, sqlx::Error> {
        for (statement, sql) in STATES.into_iter().enumerate() {
            if !self.is_to_try(statement) {
                continue;
            }
            let row: Result<State, sqlx::Error> = sqlx::query_as(sql).fetch_one(&self.pool).await;
            match row {
                Ok((newest, name, flushed, run, run_began)) => {
                    let position = |position: i64| u64::try_from(position).ok();
                    let history = Some(DatabaseHistory {
                        name,
                        position: flushed.and_then(position),
                        run,
                        run_began: run_began.and_then(position),
                    });
                    return Ok(Some(JournalState { newest, history }));
                }
                // Another statement would wait as long for nothing.
                Err(error @ (sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)) => return Err(error),
                Err(error) => self.refused(statement, &error),
            }
        }
        Ok(None)
    }
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
}
