//! Notes in a real database. Each write that Redis did not acknowledge is
//! journalled.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aside::journal::Journal as _;
use aside::{
    CacheConfig, CacheService, CachedRepository, Entity, Freshness, Repository, Rows, Source,
};
use aside::{Tier, Write};
use aside_sqlx::{MySqlJournal, OutOfReach, PostgresJournal, RecordError, SqliteJournal};
use aside_testkit::eventually;
use serde::{Deserialize, Serialize};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, MySqlPool, PgPool, SqlitePool};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)";
const UPSERT: &str = "INSERT INTO notes (id, text) VALUES ($1, $2)
     ON CONFLICT (id) DO UPDATE SET text = excluded.text";
const MYSQL_UPSERT: &str = "INSERT INTO notes (id, text) VALUES (?, ?)
     ON DUPLICATE KEY UPDATE text = VALUES(text)";
const SELECT: &str = "SELECT id, text FROM notes WHERE id = $1";
const SELECT_ALL: &str = "SELECT id, text FROM notes ORDER BY id";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Entity, sqlx::FromRow)]
#[entity(kind = "note")]
pub(crate) struct Note {
    #[entity(id)]
    pub(crate) id: i64,
    pub(crate) text: String,
}

impl Note {
    pub(crate) fn new(id: i64, text: &str) -> Self {
        let text = text.to_owned();
        Self { id, text }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum NoteError {
    Database(#[expect(dead_code, reason = "shown when a test fails")] Arc<sqlx::Error>),
    Record(Arc<RecordError>),
    Overloaded,
}

impl From<sqlx::Error> for NoteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<RecordError> for NoteError {
    fn from(error: RecordError) -> Self {
        Self::Record(Arc::new(error))
    }
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// The table of notes.
#[derive(Clone)]
pub(crate) struct Database {
    pool: Pool,
    policy: OutOfReach,
}

/// The same statements on each database.
macro_rules! on {
    ($database:expr, $pool:ident => $work:expr) => {
        match &$database.pool {
            Pool::Sqlite($pool) => $work,
            Pool::Postgres($pool) => $work,
            Pool::MySql($pool) => $work,
        }
    };
}

impl Database {
    pub(crate) async fn sqlite(file: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().connect_with(options).await;
        Self::with(Pool::Sqlite(pool.expect("a database"))).await
    }

    pub(crate) async fn postgres(url: &str) -> Self {
        // An attempt to connect waits up to a fifth of this for the next one.
        let options = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1));
        let pool = options.connect(url).await;
        Self::with(Pool::Postgres(pool.expect("a database"))).await
    }

    pub(crate) async fn mysql(url: &str) -> Self {
        let options = MySqlPoolOptions::new().acquire_timeout(Duration::from_secs(1));
        let pool = options.connect(url).await;
        Self::with(Pool::MySql(pool.expect("a database"))).await
    }

    /// Returns a statement as this database has it.
    fn sql(&self, sql: &'static str) -> AssertSqlSafe<String> {
        AssertSqlSafe(match (&self.pool, sql) {
            (Pool::MySql(_), UPSERT) => MYSQL_UPSERT.to_owned(),
            (Pool::MySql(_), sql) => sql.replace("$1", "?").replace(" key", " `key`"),
            (_, sql) => sql.to_owned(),
        })
    }

    async fn with(pool: Pool) -> Self {
        let database = Self {
            pool,
            policy: OutOfReach::Journal,
        };
        on!(database, pool => sqlx::query(TABLE).execute(pool).await.map(drop)).expect("a table");
        database.install().await;
        database
    }

    /// Has a service poll the journal.
    pub(crate) async fn poll_in(&self, cache: &CacheService) {
        match &self.pool {
            Pool::Sqlite(pool) => cache.poll_journal(SqliteJournal::new(pool.clone())).await,
            Pool::Postgres(pool) => cache.poll_journal(PostgresJournal::new(pool.clone())).await,
            Pool::MySql(pool) => cache.poll_journal(MySqlJournal::new(pool.clone())).await,
        }
    }

    async fn install(&self) {
        // Twice, because every instance installs at start.
        for _ in 0..2 {
            match &self.pool {
                Pool::Sqlite(pool) => drop(SqliteJournal::install(pool.clone()).await.unwrap()),
                Pool::Postgres(pool) => drop(PostgresJournal::install(pool.clone()).await.unwrap()),
                Pool::MySql(pool) => drop(MySqlJournal::install(pool.clone()).await.unwrap()),
            }
        }
    }

    pub(crate) fn with_policy(mut self, policy: OutOfReach) -> Self {
        self.policy = policy;
        self
    }

    pub(crate) fn sqlite_journal(&self) -> SqliteJournal {
        match &self.pool {
            Pool::Sqlite(pool) => SqliteJournal::new(pool.clone()),
            Pool::Postgres(_) | Pool::MySql(_) => panic!("another database"),
        }
    }

    /// Returns the keys in the journal.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let sql = self.sql("SELECT key FROM cache_journal ORDER BY key");
        on!(self, pool => sqlx::query_scalar(sql).fetch_all(pool).await).expect("a journal")
    }

    /// Runs a statement of another program, as SQLite or PostgreSQL has it.
    pub(crate) async fn foreign(&self, on_sqlite: &'static str, on_postgres: &'static str) {
        match &self.pool {
            Pool::Sqlite(pool) => drop(sqlx::query(on_sqlite).execute(pool).await.unwrap()),
            Pool::Postgres(pool) => drop(sqlx::query(on_postgres).execute(pool).await.unwrap()),
            Pool::MySql(_) => panic!("no statement for MySQL"),
        }
    }

    /// How often a SQLite or MySQL database was renewed.
    pub(crate) async fn renewals(&self) -> i64 {
        let sql = "SELECT renewals FROM cache_journal_history";
        on!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await).expect("a history")
    }

    /// The position that a poll compares.
    pub(crate) async fn position(&self) -> i64 {
        match &self.pool {
            Pool::Sqlite(_) | Pool::MySql(_) => self.renewals().await,
            Pool::Postgres(pool) => {
                let sql = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint";
                let position = sqlx::query_scalar(sql).fetch_one(pool).await;
                position.expect("a position")
            }
        }
    }

    pub(crate) async fn close(&self) {
        on!(self, pool => pool.close().await);
    }

    /// Returns the stored parts of the hot set of notes.
    pub(crate) async fn hot_set(&self, max_age: Duration) -> Vec<String> {
        let parts = match &self.pool {
            Pool::Sqlite(pool) => {
                SqliteJournal::new(pool.clone())
                    .hot_set("note", max_age)
                    .await
            }
            Pool::Postgres(pool) => {
                PostgresJournal::new(pool.clone())
                    .hot_set("note", max_age)
                    .await
            }
            Pool::MySql(pool) => {
                MySqlJournal::new(pool.clone())
                    .hot_set("note", max_age)
                    .await
            }
        };
        parts.expect("a list")
    }

    pub(crate) async fn replace_hot_set(&self, parts: &[String]) {
        let replaced = match &self.pool {
            Pool::Sqlite(pool) => {
                SqliteJournal::new(pool.clone())
                    .replace_hot_set("note", parts)
                    .await
            }
            Pool::Postgres(pool) => {
                PostgresJournal::new(pool.clone())
                    .replace_hot_set("note", parts)
                    .await
            }
            Pool::MySql(pool) => {
                MySqlJournal::new(pool.clone())
                    .replace_hot_set("note", parts)
                    .await
            }
        };
        replaced.expect("a list");
    }

    pub(crate) async fn lose_the_hot_sets(&self) {
        let sql = "DROP TABLE cache_hot_set";
        on!(self, pool => sqlx::query(sql).execute(pool).await.map(drop)).expect("a table");
    }

    pub(crate) async fn lose_the_journal(&self) {
        let sql = "DROP TABLE cache_journal";
        on!(self, pool => sqlx::query(sql).execute(pool).await.map(drop)).expect("a journal");
    }

    pub(crate) async fn restore_the_journal(&self) {
        self.install().await;
    }

    /// Runs one statement in a separate transaction.
    async fn commit(
        &self,
        note: Option<&Note>,
        all: Option<&str>,
        write: &mut Write,
    ) -> Result<(), NoteError> {
        macro_rules! transact {
            ($pool:ident, $begin:expr, $journal:ident) => {{
                let mut transaction = $begin.await?;
                if let Some(note) = note {
                    let upsert = sqlx::query(self.sql(UPSERT)).bind(note.id).bind(&note.text);
                    upsert.execute(&mut *transaction).await?;
                }
                if let Some(text) = all {
                    let rewrite = sqlx::query(self.sql("UPDATE notes SET text = $1")).bind(text);
                    rewrite.execute(&mut *transaction).await?;
                }
                let left = write.before_commit().await;
                let recorded = $journal::record(&mut transaction, &left, self.policy).await;
                if let Err(error) = recorded {
                    transaction.rollback().await?;
                    write.rolled_back();
                    return Err(error.into());
                }
                transaction.commit().await?;
            }};
        }
        match &self.pool {
            Pool::Sqlite(pool) => {
                transact!(pool, pool.begin_with("BEGIN IMMEDIATE"), SqliteJournal)
            }
            Pool::Postgres(pool) => transact!(pool, pool.begin(), PostgresJournal),
            Pool::MySql(pool) => transact!(pool, pool.begin(), MySqlJournal),
        }
        Ok(())
    }
}

impl Source for Database {
    type Entity = Note;
    type Error = NoteError;

    async fn find_by_id(&self, id: &i64) -> Result<Option<Arc<Note>>, NoteError> {
        let found: Option<Note> = on!(self, pool => sqlx::query_as(self.sql(SELECT)).bind(id).fetch_optional(pool).await)?;
        Ok(found.map(Arc::new))
    }

    async fn find_many(&self, ids: &[i64]) -> Result<Vec<Option<Arc<Note>>>, NoteError> {
        let mut found = Vec::new();
        for id in ids {
            found.push(self.find_by_id(id).await?);
        }
        Ok(found)
    }

    async fn list_all(&self) -> Result<Rows<Note>, NoteError> {
        let found: Vec<Note> = on!(self, pool => sqlx::query_as(SELECT_ALL).fetch_all(pool).await)?;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> NoteError {
        NoteError::Overloaded
    }
}

impl Repository for Database {
    async fn save_in(&self, note: Note, write: &mut Write) -> Result<Arc<Note>, NoteError> {
        write.created(&note);
        self.commit(Some(&note), None, write).await?;
        Ok(Arc::new(note))
    }

    async fn update_in(
        &self,
        note: Note,
        write: &mut Write,
    ) -> Result<Option<Arc<Note>>, NoteError> {
        // A note has one writer at a time and no index. So the row before the
        // write adds no keys.
        write.updated(&note, &note);
        self.commit(Some(&note), None, write).await?;
        Ok(Some(Arc::new(note)))
    }

    async fn delete_in(&self, _: &i64, _: &mut Write) -> Result<bool, NoteError> {
        Ok(false)
    }
}

/// An instance of a service.
pub(crate) struct Instance {
    pub(crate) cache: CacheService,
    pub(crate) notes: CachedRepository<Database>,
}

impl Instance {
    pub(crate) async fn start(config: CacheConfig, database: &Database) -> Self {
        let cache = CacheService::connect(config).await;
        database.poll_in(&cache).await;
        let notes = CachedRepository::new(database.clone(), &cache);
        Self { cache, notes }
    }

    /// Starts an instance whose repository is made before its journal is polled.
    pub(crate) async fn start_unpolled(config: CacheConfig, database: &Database) -> Self {
        let cache = CacheService::connect(config).await;
        let notes = CachedRepository::new(database.clone(), &cache);
        Self { cache, notes }
    }

    pub(crate) async fn text(&self, id: i64) -> String {
        let note = self.notes.find_by_id(&id).await.expect("an answer");
        note.expect("a note").text.clone()
    }

    /// Waits until a note comes from a cache.
    pub(crate) async fn caches(&self, id: i64) {
        eventually(super::EVENTUALLY, "an answer from a cache", async || {
            let answer = self.notes.find_by_id_with(&id, Freshness::Any).await;
            answer.expect("an answer").tier != Tier::Source
        })
        .await;
    }

    /// Rewrites every note in one statement that returns no rows.
    pub(crate) async fn rewrite_all(&self, text: &str) {
        let mut write = self.cache.write();
        write.whole_kind::<Note>();
        let source = self.notes.source();
        source
            .commit(None, Some(text), &mut write)
            .await
            .expect("a commit");
        write.committed().await;
    }
}
