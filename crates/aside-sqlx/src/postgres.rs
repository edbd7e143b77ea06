//! The journal on PostgreSQL.

use aside::{Journal, JournalRow, Unquarantined};
use sqlx::postgres::{PgConnection, PgPool};

use crate::{OutOfReach, PAGE, RecordError, to_record};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS cache_journal (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()
)";

/// Taken while the table is created: two that create it at once would make
/// one of them fail, IF NOT EXISTS notwithstanding.
const LOCK: i64 = 0x6173_6964_6500;

/// The journal of a PostgreSQL database, in the first schema of the search
/// path.
#[derive(Clone, Debug)]
pub struct PostgresJournal(PgPool);

impl PostgresJournal {
    /// The journal of a database in which its table is known to exist.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Creates the table `cache_journal` if it is missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn install(pool: PgPool) -> Result<Self, sqlx::Error> {
        let mut transaction = pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(LOCK)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(TABLE).execute(&mut *transaction).await?;
        transaction.commit().await?;
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
        connection: &mut PgConnection,
        left: &Unquarantined<'_>,
        policy: OutOfReach,
    ) -> Result<(), RecordError> {
        let rows = to_record(left, policy)?;
        if !rows.is_empty() {
            sqlx::query("INSERT INTO cache_journal (key) SELECT unnest($1::text[])")
                .bind(rows)
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}

impl Journal for PostgresJournal {
    type Error = sqlx::Error;

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, sqlx::Error> {
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT id, key FROM cache_journal WHERE $1 < id ORDER BY id LIMIT $2")
                .bind(after)
                .bind(PAGE)
                .fetch_all(&self.0)
                .await?;
        let row = |(id, entry)| JournalRow { id, entry };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM cache_journal WHERE id = ANY($1)")
            .bind(ids)
            .execute(&self.0)
            .await?;
        Ok(())
    }
}
