//! Records in a real PostgreSQL, and the repository that a service would write for
//! them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aside::{Repository, Rows, Source, Write};
use redis::aio::MultiplexedConnection;
use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::error::Wrong;
use crate::record::{List, Record, VALUES};

/// The records of one database. Clones share it.
#[derive(Clone)]
pub(crate) struct SqlRecords<const LISTS: usize> {
    pool: PgPool,
    reads: Arc<AtomicU64>,
    round_trips: Option<MultiplexedConnection>,
    /// The query for one row.
    by_id: &'static str,
}

/// The error of PostgreSQL.
pub(crate) type SqlError = Arc<sqlx::Error>;

const BY_ID: &str = "SELECT id, version, number, content FROM records WHERE id = $1";

/// Takes twenty milliseconds. The database itself counts it, so the reads of
/// all processes are included.
const SLOWLY_BY_ID: &str = "SELECT id, version, number, content, \
    nextval('loads')::text, pg_sleep(0.02)::text FROM records WHERE id = $1";

impl<const LISTS: usize> SqlRecords<LISTS> {
    /// Creates the table with `count` records of `bytes` bytes.
    pub(crate) async fn create(
        url: &str,
        connections: u32,
        count: u64,
        bytes: usize,
    ) -> Result<Self, Wrong> {
        let records = Self::open(url, connections).await?;
        let set = async {
            sqlx::raw_sql(
                "CREATE SEQUENCE loads; CREATE TABLE records (id UUID PRIMARY KEY, \
                 version BIGINT NOT NULL, number BIGINT NOT NULL, content TEXT NOT NULL)",
            )
            .execute(&records.pool)
            .await?;
            let numbers: Vec<u64> = (0..count).collect();
            for numbers in numbers.chunks(5_000) {
                let rows = numbers
                    .iter()
                    .map(|number| Record::<LISTS>::new(*number, bytes));
                let (mut ids, mut contents) = (Vec::new(), Vec::new());
                for row in rows {
                    ids.push(row.id);
                    contents.push(row.content);
                }
                let numbers: Vec<i64> = numbers.iter().map(|number| signed(*number)).collect();
                sqlx::query(
                    "INSERT INTO records SELECT id, 1, number, content \
                     FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS t (id, number, content)",
                )
                .bind(ids)
                .bind(numbers)
                .bind(contents)
                .execute(&records.pool)
                .await?;
            }
            sqlx::raw_sql("VACUUM ANALYZE records")
                .execute(&records.pool)
                .await
        };
        set.await.map_err(|error| Wrong(error.to_string()))?;
        Ok(records)
    }

    /// Opens an existing table.
    pub(crate) async fn open(url: &str, connections: u32) -> Result<Self, Wrong> {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .connect(url)
            .await
            .map_err(|error| Wrong(error.to_string()))?;
        Ok(Self {
            pool,
            reads: Arc::default(),
            round_trips: None,
            by_id: BY_ID,
        })
    }

    /// Closes all connections to the database, so that it can be copied.
    pub(crate) async fn close(self) {
        self.pool.close().await;
    }

    /// Makes each read of one row take twenty milliseconds.
    pub(crate) fn slowly(mut self) -> Self {
        self.by_id = SLOWLY_BY_ID;
        self
    }

    /// Makes each write send one command to Redis before its commit and one
    /// after it, which is the minimal cost of invalidating everywhere.
    pub(crate) fn with_round_trips(mut self, redis: MultiplexedConnection) -> Self {
        self.round_trips = Some(redis);
        self
    }

    /// Returns how many queries this and its clones have served.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Returns how many slow reads the database has served, for all processes.
    pub(crate) async fn slow_reads(&self) -> Result<u64, Wrong> {
        let asked = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM loads";
        let count: i64 = sqlx::query_scalar(asked)
            .fetch_one(&self.pool)
            .await
            .map_err(|error| Wrong(error.to_string()))?;
        Ok(count.unsigned_abs())
    }

    async fn round_trip(&self) {
        if let Some(redis) = &self.round_trips {
            let reply = redis::cmd("PING").query_async(&mut redis.clone()).await;
            let reply: String = reply.expect("Redis is there");
            assert_eq!(reply, "PONG");
        }
    }

    async fn rows(&self, sql: &'static str, value: i64) -> Result<Rows<Record<LISTS>>, SqlError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let rows = sqlx::query(sql).bind(value).fetch_all(&self.pool).await?;
        rows.iter().map(|row| record(row).map(Arc::new)).collect()
    }
}

fn record<const LISTS: usize>(row: &PgRow) -> Result<Record<LISTS>, SqlError> {
    let version: i64 = row.try_get(1)?;
    let number: i64 = row.try_get(2)?;
    Ok(Record {
        id: row.try_get(0)?,
        version: version.unsigned_abs(),
        number: number.unsigned_abs(),
        content: row.try_get(3)?,
    })
}

/// PostgreSQL has no unsigned numbers.
fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("no table here is that long")
}

impl<const LISTS: usize> Source for SqlRecords<LISTS> {
    type Entity = Record<LISTS>;
    type Error = SqlError;

    async fn find_by_id(&self, id: &Uuid) -> Result<Option<Arc<Record<LISTS>>>, SqlError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let row = sqlx::query(self.by_id).bind(id).fetch_optional(&self.pool);
        row.await?.map(|row| record(&row).map(Arc::new)).transpose()
    }

    async fn find_many(&self, ids: &[Uuid]) -> Result<Vec<Option<Arc<Record<LISTS>>>>, SqlError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let rows = sqlx::query(
            "SELECT id, version, number, content FROM records \
             JOIN unnest($1::uuid[]) AS t (id) USING (id)",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await?;
        let mut found = std::collections::HashMap::new();
        for row in &rows {
            let row = Arc::new(record(row)?);
            found.insert(row.id, row);
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn find_by(&self, list: &List) -> Result<Rows<Record<LISTS>>, SqlError> {
        let offset = list.value + VALUES - list.index as u64 % VALUES;
        let sql = "SELECT id, version, number, content FROM records \
                   WHERE number % 100 = $1 ORDER BY number";
        self.rows(sql, signed(offset % VALUES)).await
    }

    async fn list_all(&self) -> Result<Rows<Record<LISTS>>, SqlError> {
        let sql = "SELECT id, version, number, content FROM records \
                   WHERE number >= $1 ORDER BY number";
        self.rows(sql, 0).await
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> SqlError {
        Arc::new(sqlx::Error::PoolTimedOut)
    }
}

impl<const LISTS: usize> Repository for SqlRecords<LISTS> {
    async fn save_in(
        &self,
        row: Record<LISTS>,
        write: &mut Write,
    ) -> Result<Arc<Record<LISTS>>, SqlError> {
        let insert = sqlx::query(
            "INSERT INTO records VALUES ($1, 1, $2, $3) \
             RETURNING id, version, number, content",
        )
        .bind(row.id)
        .bind(signed(row.number))
        .bind(row.content.clone());
        if LISTS == 0 {
            let mut connection = self.pool.acquire().await?;
            write.created(&row);
            let _ = write.before_commit().await;
            let after = record(&insert.fetch_one(&mut *connection).await?)?;
            write.created(&after);
            return Ok(Arc::new(after));
        }
        let mut transaction = self.pool.begin().await?;
        let inserted = insert.fetch_one(&mut *transaction).await?;
        let after: Record<LISTS> = record(&inserted)?;
        write.created(&after);
        let _ = write.before_commit().await;
        self.round_trip().await;
        transaction.commit().await?;
        self.round_trip().await;
        Ok(Arc::new(after))
    }

    /// The content is the caller's; the version is the row's own plus one.
    async fn update_in(
        &self,
        row: Record<LISTS>,
        write: &mut Write,
    ) -> Result<Option<Arc<Record<LISTS>>>, SqlError> {
        let update = sqlx::query(
            "UPDATE records SET version = version + 1, content = $2 WHERE id = $1 \
             RETURNING id, version, number, content",
        )
        .bind(row.id)
        .bind(row.content.clone());
        if LISTS == 0 {
            // One statement is a transaction, and the keys it invalidates are
            // known.
            let mut connection = self.pool.acquire().await?;
            write.updated(&row, &row);
            let _ = write.before_commit().await;
            let Some(updated) = update.fetch_optional(&mut *connection).await? else {
                write.deleted(&row);
                return Ok(None);
            };
            let after = record(&updated)?;
            write.updated(&after, &after);
            return Ok(Some(Arc::new(after)));
        }
        let mut transaction = self.pool.begin().await?;
        let Some(before) = lock(&mut transaction, row.id).await? else {
            return Ok(None);
        };
        let updated = update.fetch_one(&mut *transaction).await?;
        let after: Record<LISTS> = record(&updated)?;
        write.updated(&before, &after);
        let _ = write.before_commit().await;
        self.round_trip().await;
        transaction.commit().await?;
        self.round_trip().await;
        Ok(Some(Arc::new(after)))
    }

    async fn delete_in(&self, id: &Uuid, write: &mut Write) -> Result<bool, SqlError> {
        let mut transaction = self.pool.begin().await?;
        let Some(before) = lock::<LISTS>(&mut transaction, *id).await? else {
            return Ok(false);
        };
        sqlx::query("DELETE FROM records WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        write.deleted(&before);
        let _ = write.before_commit().await;
        transaction.commit().await?;
        Ok(true)
    }
}

async fn lock<const LISTS: usize>(
    transaction: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Record<LISTS>>, SqlError> {
    let sql = "SELECT id, version, number, content FROM records WHERE id = $1 FOR UPDATE";
    let locked = sqlx::query(sql)
        .bind(id)
        .fetch_optional(transaction)
        .await?;
    locked.map(|row| record(&row)).transpose()
}
