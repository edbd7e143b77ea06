//! The journal over connections of diesel.

use std::time::Duration;

use aside::journal::{Journal, JournalRow};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Text};
use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};

use crate::connections::Connections;
use crate::error::Error;

/// The same tables as those of `aside-sqlx`, created under the same lock: IF NOT EXISTS
/// does not prevent errors between concurrent creators. All statements are one
/// transaction.
const INSTALL: &str = "SELECT pg_advisory_xact_lock(107148317320448);
CREATE TABLE IF NOT EXISTS cache_journal (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS cache_hot_set (
    kind TEXT NOT NULL,
    part INT NOT NULL,
    keys TEXT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, part)
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

#[derive(QueryableByName)]
struct Part {
    #[diesel(sql_type = Text)]
    keys: String,
}

impl DieselJournal {
    /// Returns the journal of a database whose table is known to exist.
    #[must_use]
    pub fn new(connections: &Connections) -> Self {
        Self(connections.clone())
    }

    /// Creates the tables `cache_journal` and `cache_hot_set` if they are missing.
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

    async fn hot_set(&self, kind: &str, max_age: Duration) -> Result<Vec<String>, Error> {
        let mut connection = self.0.get().await?;
        let parts = "SELECT keys FROM cache_hot_set
              WHERE kind = $1 AND now() - make_interval(secs => $2) < at ORDER BY part";
        let parts: Vec<Part> = diesel::sql_query(parts)
            .bind::<Text, _>(kind)
            .bind::<Double, _>(max_age.as_secs_f64())
            .load(&mut *connection)
            .await?;
        Ok(parts.into_iter().map(|part| part.keys).collect())
    }

    async fn replace_hot_set(&self, kind: &str, parts: &[String]) -> Result<(), Error> {
        // One statement, and so one transaction. The DELETE sees no row of the INSERT.
        let replace = "WITH old AS (DELETE FROM cache_hot_set
                WHERE kind = $1 AND cardinality($2) < part)
            INSERT INTO cache_hot_set (kind, part, keys)
            SELECT $1, number, part FROM unnest($2) WITH ORDINALITY AS t (part, number)
            ON CONFLICT (kind, part) DO UPDATE SET keys = excluded.keys, at = excluded.at";
        let mut connection = self.0.get().await?;
        diesel::sql_query(replace)
            .bind::<Text, _>(kind)
            .bind::<Array<Text>, _>(parts)
            .execute(&mut *connection)
            .await?;
        Ok(())
    }
}
