//! The journal on SQLite.

use aside::{Journal, JournalRow, Unquarantined};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{QueryBuilder, Sqlite};

use crate::{OutOfReach, PAGE, RecordError, to_record};

/// AUTOINCREMENT: an id that was deleted does not come again for a row that
/// is about something else.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS cache_journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
)";

/// Parameters of one statement that every SQLite takes.
const PARAMETERS: usize = 500;

/// The journal of a SQLite database.
#[derive(Clone, Debug)]
pub struct SqliteJournal(SqlitePool);

impl SqliteJournal {
    /// The journal of a database in which its table is known to exist.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self(pool)
    }

    /// Creates the table `cache_journal` if it is missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn install(pool: SqlitePool) -> Result<Self, sqlx::Error> {
        sqlx::query(TABLE).execute(&pool).await?;
        Ok(Self(pool))
    }

    /// Stores what Redis did not acknowledge, in the transaction that
    /// `connection` is in. To be called between `before_commit` and the
    /// commit; sends nothing where there is nothing to store.
    ///
    /// # Errors
    /// [`RecordError`]; the transaction must be rolled back then, and
    /// [`Write::rolled_back`](aside::Write::rolled_back) be told.
    pub async fn record(
        connection: &mut SqliteConnection,
        left: &Unquarantined<'_>,
        policy: OutOfReach,
    ) -> Result<(), RecordError> {
        for rows in to_record(left, policy)?.chunks(PARAMETERS) {
            QueryBuilder::<Sqlite>::new("INSERT INTO cache_journal (key) ")
                .push_values(rows, |mut row, key| {
                    row.push_bind(key.clone());
                })
                .build()
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

impl Journal for SqliteJournal {
    type Error = sqlx::Error;

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
