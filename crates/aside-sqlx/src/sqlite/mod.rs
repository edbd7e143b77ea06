//! The journal on SQLite.

mod triggers;
mod ids;

use std::time::Duration;

use aside::transaction::FailedCommit;
use aside::{
    Entity, Write,
    journal::{Journal, JournalRow, JournalState},
};
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteTransactionManager};
use sqlx::{Executor as _, QueryBuilder, Sqlite};
use sqlx_core::transaction::TransactionManager as _;

use crate::renewals::{self, RENEW};
use crate::{Commits, MAX_ENTRY_CHARS, PAGE, Triggers};

/// AUTOINCREMENT, so that the id of a deleted row is never reused for another
/// key.
///
/// After the greatest possible id every insert fails, and so does its write;
/// see [`ids`].
const TABLE: &str = "CREATE TABLE IF NOT EXISTS cache_journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)";

/// One row. Its name stays that of the file, and instances raise the number, so a copy
/// of the file that is put back has a smaller one.
const HISTORY: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS cache_journal_history (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    renewals INTEGER NOT NULL
)",
    "INSERT INTO cache_journal_history VALUES (1, lower(hex(randomblob(16))), 0)
     ON CONFLICT DO NOTHING",
];

const HOT_SET: &str = "CREATE TABLE IF NOT EXISTS cache_hot_set (
    kind TEXT NOT NULL,
    part INTEGER NOT NULL,
    keys TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (kind, part)
)";

/// A number of parameters per statement that every SQLite accepts.
const PARAMETERS: usize = 500;

/// The journal of a SQLite database.
#[derive(Clone, Debug)]
pub struct SqliteJournal(SqlitePool);

impl SqliteJournal {
    /// The statement that marks a transaction of another driver, so that triggers skip
    /// its later changes. [`UNMARK`](Self::UNMARK) it, or its COMMIT fails.
    pub const MARK: &str = triggers::MARK;

    /// The statement that removes the mark before the COMMIT.
    pub const UNMARK: &str = triggers::UNMARK;

    /// Returns the journal of a database in which [`install`](Self::install) is
    /// known to have run.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self(pool)
    }

    /// Creates the tables `cache_journal`, `cache_journal_writer`,
    /// `cache_journal_history` and `cache_hot_set` if they are missing. The second is empty for every
    /// connection except one in a transaction of [`begin`](Self::begin). Instances
    /// write the third about once a second, to notice that a copy of the file was
    /// put back.
    ///
    /// # Errors
    /// The database's.
    pub async fn install(pool: SqlitePool) -> Result<Self, sqlx::Error> {
        pool.execute(TABLE).await?;
        pool.execute(triggers::MARKS).await?;
        for statement in HISTORY {
            pool.execute(statement).await?;
        }
        pool.execute(HOT_SET).await?;
        Ok(Self(pool))
    }

    /// Begins the transaction of a write with `BEGIN IMMEDIATE`. The triggers
    /// of [`install_triggers`](Self::install_triggers) skip its changes,
    /// because `write` itself notifies the other instances. They do not skip an
    /// [uncached](Write::is_uncached) write. The transaction must end with
    /// [`record`](Self::record), or its COMMIT fails.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(
        pool: &SqlitePool,
        write: &Write,
    ) -> Result<sqlx::Transaction<'static, Sqlite>, sqlx::Error> {
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        Self::mark(&mut transaction, write).await?;
        Ok(transaction)
    }

    /// Does the same for a transaction that was begun otherwise. The triggers
    /// skip later changes by `connection` in it. It has no effect if the
    /// connection does not enforce foreign keys; sqlx enforces them by default.
    /// The triggers then record these changes, too.
    ///
    /// # Errors
    /// The database's.
    pub async fn mark(connection: &mut SqliteConnection, write: &Write) -> Result<(), sqlx::Error> {
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
    /// A service can call it at each start. Triggers of an older version of this
    /// library are replaced in one transaction.
    ///
    /// They fire once per row. They record the whole kind if the journal has
    /// more than 1,000 keys of it. They also do so for values with control
    /// characters or of more than 200 bytes. They miss the writes of a program
    /// that disables triggers. They record the rows that REPLACE deletes,
    /// except for those that conflict in an index on an expression. Remove them
    /// before a migration that changes the columns they read.
    ///
    /// An error in a trigger refuses the statement of the other program, and
    /// SQLite has no remedy for that. So an
    /// [`expression`](Triggers::expression) must not fail for any row, and must
    /// not use functions that another program may lack. This call computes the
    /// keys of 100 rows.
    ///
    /// # Errors
    /// The database's, for example if a column is missing, or if an expression
    /// fails for one of those rows.
    pub async fn install_triggers(&self, triggers: &Triggers) -> Result<(), sqlx::Error> {
        triggers::install(&self.0, triggers).await
    }

    /// Removes the triggers of every kind from a table. The last call also
    /// removes their index.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_triggers(&self, table: &str) -> Result<(), sqlx::Error> {
        triggers::remove(&self.0, table, None).await
    }

    /// Removes the triggers of one kind from a table. Those of other kinds stay.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_triggers_of<E: Entity>(&self, table: &str) -> Result<(), sqlx::Error> {
        triggers::remove(&self.0, table, Some(E::KIND)).await
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.0
    }
}

impl Commits for Sqlite {
    async fn end(
        mut transaction: sqlx::Transaction<'_, Self>,
    ) -> Result<(), FailedCommit<sqlx::Error>> {
        // `Transaction::commit` rolls back on drop, where its caller cannot see
        // the outcome. After a successful COMMIT, the drop finds no open
        // transaction.
        let Err(error) = SqliteTransactionManager::commit(&mut transaction).await else {
            return Ok(());
        };
        Err(FailedCommit {
            is_rolled_back: transaction.rollback().await.is_ok(),
            error,
        })
    }

    async fn insert(
        connection: &mut SqliteConnection,
        entries: &[String],
    ) -> Result<Vec<i64>, sqlx::Error> {
        // Before: a database that is "full" ends the transaction.
        if ids::are_used_up(&mut *connection).await? {
            ids::free(&mut *connection).await?;
        }
        let mut ids = Vec::new();
        for entries in entries.chunks(PARAMETERS) {
            let mut insert = QueryBuilder::<Self>::new("INSERT INTO cache_journal (key) ");
            insert.push_values(entries, |mut row, entry| {
                row.push_bind(entry.clone());
            });
            let insert = insert.push(" RETURNING id").build_query_scalar::<i64>();
            ids.extend(insert.fetch_all(&mut *connection).await?);
        }
        Ok(ids)
    }

    async fn unmark(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        connection.execute(triggers::UNMARK).await.map(drop)
    }
}

impl Journal for SqliteJournal {
    type Error = sqlx::Error;

    async fn state(&self) -> Result<JournalState, sqlx::Error> {
        let newest = self.newest().await?;
        let sql = "SELECT name, renewals FROM cache_journal_history";
        let row = sqlx::query_as(sql).fetch_one(&self.0).await;
        let history = renewals::history(row, |error| error.message().starts_with("no such table"));
        Ok(JournalState { newest, history })
    }

    async fn renew(&self, position: u64) -> Result<(), sqlx::Error> {
        let renew = sqlx::query(RENEW).bind(i64::try_from(position).unwrap_or(i64::MAX));
        renew.execute(&self.0).await.map(drop)
    }

    async fn newest(&self) -> Result<Option<i64>, sqlx::Error> {
        // A table that was made otherwise has no sequence, and needs none.
        let used_up = ids::are_used_up(&mut *self.0.acquire().await?).await;
        if used_up.unwrap_or(false) {
            let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
            ids::free(&mut transaction).await?;
            transaction.commit().await?;
        }
        sqlx::query_scalar("SELECT max(id) FROM cache_journal")
            .fetch_one(&self.0)
            .await
    }

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, sqlx::Error> {
        const ROWS: &str = "SELECT id, CAST(substr(CAST(key AS BLOB), 1, ?3) AS BLOB)
              FROM cache_journal WHERE ?1 < id ORDER BY id LIMIT ?2";
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(ROWS)
            .bind(after)
            .bind(PAGE)
            .bind(MAX_ENTRY_CHARS)
            .fetch_all(&self.0)
            .await?;
        // Bytes that are no text are no key; the empty text is none either.
        let row = |(id, entry)| JournalRow {
            id,
            entry: String::from_utf8(entry).unwrap_or_default(),
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), sqlx::Error> {
        for ids in ids.chunks(PARAMETERS) {
            let mut delete = QueryBuilder::<Sqlite>::new("DELETE FROM cache_journal WHERE id IN (");
            let mut list = delete.separated(", ");
            for id in ids {
                list.push_bind(*id);
            }
            list.push_unseparated(")");
            delete.build().execute(&self.0).await?;
        }
        Ok(())
    }

    async fn hot_set(&self, kind: &str, max_age: Duration) -> Result<Vec<String>, sqlx::Error> {
        let parts = "SELECT keys FROM cache_hot_set
              WHERE kind = ?1 AND datetime('now', ?2) < at ORDER BY part";
        let parts = sqlx::query_scalar(parts).bind(kind);
        let since = format!("-{} seconds", max_age.as_secs());
        parts.bind(since).fetch_all(&self.0).await
    }

    async fn replace_hot_set(&self, kind: &str, parts: &[String]) -> Result<(), sqlx::Error> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let delete = sqlx::query("DELETE FROM cache_hot_set WHERE kind = ?1").bind(kind);
        delete.execute(&mut *transaction).await?;
        let insert = "INSERT INTO cache_hot_set (kind, part, keys) VALUES (?1, ?2, ?3)";
        for (number, part) in (1_i64..).zip(parts) {
            let insert = sqlx::query(insert).bind(kind).bind(number).bind(part);
            insert.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}
