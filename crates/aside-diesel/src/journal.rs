//! The journal over connections of diesel.

use aside::journal::{Journal, JournalRow};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text};
use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};

use crate::connections::Connections;
use crate::error::Error;

/// The same table as that of `aside-sqlx`, created under the same lock: IF NOT EXISTS
/// does not prevent errors between concurrent creators. Both statements are one
/// transaction.
const INSTALL: &str = "SELECT pg_advisory_xact_lock(107148317320448);
CREATE TABLE IF NOT EXISTS cache_journal (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()
)";

/// Rows of one SELECT.
const PAGE: i64 = 500;

/// How many characters of a row are read. No row of this library is longer.
const MAX_ENTRY_CHARS: i32 = 8_193;

/// The journal of a PostgreSQL database, in the first schema of the search path.
#[derive(Clone, Debug)]
pub struct DieselJournal(Connections);

#[derive(QueryableByName)]
struct Newest {
    #[diesel(sql_type = Nullable<BigInt>)]
    newest: Option<i64>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    entry: String,
}

impl DieselJournal {
    /// Returns the journal of a database whose table is known to exist.
    #[must_use]
    pub fn new(connections: &Connections) -> Self {
        Self(connections.clone())
    }

    /// Creates the table `cache_journal` if it is missing.
    ///
    /// # Errors
    /// The database's.
    pub async fn install(connections: &Connections) -> Result<Self, Error> {
        let mut connection = connections.get().await?;
        connection.batch_execute(INSTALL).await?;
        Ok(Self::new(connections))
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.0
    }
}

impl Journal for DieselJournal {
    type Error = Error;

    async fn newest(&self) -> Result<Option<i64>, Error> {
        let mut connection = self.0.get().await?;
        let newest = diesel::sql_query("SELECT max(id) AS newest FROM cache_journal");
        let row: Newest = newest.get_result(&mut *connection).await?;
        Ok(row.newest)
    }

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, Error> {
        let mut connection = self.0.get().await?;
        let rows = "SELECT id, left(key, $3) AS entry
                      FROM cache_journal WHERE $1 < id ORDER BY id LIMIT $2";
        let rows: Vec<Row> = diesel::sql_query(rows)
            .bind::<BigInt, _>(after)
            .bind::<BigInt, _>(PAGE)
            .bind::<Integer, _>(MAX_ENTRY_CHARS)
            .load(&mut *connection)
            .await?;
        let row = |Row { id, entry }| JournalRow { id, entry };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), Error> {
        let mut connection = self.0.get().await?;
        diesel::sql_query("DELETE FROM cache_journal WHERE id = ANY($1)")
            .bind::<Array<BigInt>, _>(ids)
            .execute(&mut *connection)
            .await?;
        Ok(())
    }
}
