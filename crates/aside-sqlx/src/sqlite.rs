//! The journal on SQLite.

mod triggers;

use aside::{Journal, JournalRow, Unquarantined, Write};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Executor as _, QueryBuilder, Sqlite};

use crate::{OutOfReach, PAGE, RecordError, Triggers, commit, is_to_record};

/// AUTOINCREMENT, so that the id of a deleted row is never reused for another
/// key.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS cache_journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)";

/// A number of parameters per statement that every SQLite accepts.
const PARAMETERS: usize = 500;

/// The journal of a SQLite database.
#[derive(Clone, Debug)]
pub struct SqliteJournal(SqlitePool);

impl SqliteJournal {
    /// Returns the journal of a database in which [`install`](Self::install) is
    /// known to have run.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self(pool)
    }

    /// Creates the tables `cache_journal` and `cache_journal_writer` if they
    /// are missing. The second is empty for every connection except one in a
    /// transaction of [`begin`](Self::begin).
    ///
    /// # Errors
    /// The database's.
    pub async fn install(pool: SqlitePool) -> Result<Self, sqlx::Error> {
        pool.execute(TABLE).await?;
        pool.execute(triggers::MARKS).await?;
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

    /// Puts triggers on a table, in place of those of an earlier call. They
    /// record the changes of other programs in the journal, in the same
    /// transaction. Every instance then invalidates them like a write that
    /// could not reach Redis.
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

    /// Removes the triggers of a table. The last call also removes their index.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_triggers(&self, table: &str) -> Result<(), sqlx::Error> {
        triggers::remove(&self.0, table).await
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
        mut transaction: sqlx::Transaction<'_, Sqlite>,
        write: &mut Write,
        policy: OutOfReach,
    ) -> Result<(), RecordError> {
        let left = write.before_commit().await;
        if let Err(error) = Self::record(&mut transaction, &left, policy).await {
            commit::abandon(transaction, write).await;
            return Err(error);
        }
        Ok(commit::end(transaction, write).await?)
    }

    /// Stores the keys that Redis did not acknowledge, in the transaction of
    /// `connection`, and removes the mark of [`begin`](Self::begin). Call it
    /// between `before_commit` and the commit.
    ///
    /// # Errors
    /// [`RecordError`]. The transaction must then be rolled back, and
    /// [`Write::rolled_back`](aside::Write::rolled_back) called.
    pub async fn record(
        connection: &mut SqliteConnection,
        left: &Unquarantined<'_>,
        policy: OutOfReach,
    ) -> Result<(), RecordError> {
        if is_to_record(left, policy)? {
            for keys in left.keys().chunks(PARAMETERS) {
                QueryBuilder::<Sqlite>::new("INSERT INTO cache_journal (key) ")
                    .push_values(keys, |mut row, key| {
                        row.push_bind(key.clone());
                    })
                    .build()
                    .execute(&mut *connection)
                    .await?;
            }
            for kind in left.kinds() {
                let insert = "INSERT INTO cache_journal (key) VALUES (?) RETURNING id";
                let insert = sqlx::query_scalar(insert).bind(kind);
                left.journalled(&[insert.fetch_one(&mut *connection).await?]);
            }
        }
        connection.execute(triggers::UNMARK).await?;
        Ok(())
    }
}

impl Journal for SqliteJournal {
    type Error = sqlx::Error;

    async fn newest(&self) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("SELECT max(id) FROM cache_journal")
            .fetch_one(&self.0)
            .await
    }

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, sqlx::Error> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT id, key FROM cache_journal WHERE ? < id ORDER BY id LIMIT ?")
                .bind(after)
                .bind(PAGE)
                .fetch_all(&self.0)
                .await?;
        let row = |(id, entry)| JournalRow { id, entry };
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
}
