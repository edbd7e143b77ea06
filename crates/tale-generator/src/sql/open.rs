//! Opening a database by its URL, with the limits that the cache relies on.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aside_sqlx::{PostgresJournal, SqliteJournal};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Executor as _, Row as _};
use tokio::time::timeout;

use super::plans::Plans;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// The most connections of this process. Default: 10, of which writes use
    /// half at most, and writes of one row two. A database in memory has one,
    /// or each connection would see a database of its own.
    pub max_connections: u32,
    /// How long a caller waits for a connection. Default: 2 seconds. A write
    /// waits for the lock of a row three quarters of that, 1.5 seconds, and no
    /// longer than a quarter of the longest transaction.
    pub acquire_timeout: Duration,
    /// The longest a transaction may last. Default: 20 seconds. It must stay
    /// below `CACHE_QUARANTINE_TTL_MS`: a row is kept out of the cache for
    /// that long while its writer has not said how the write ended.
    pub longest_transaction: Duration,
    /// Added to each read, for demonstrations. Default: none.
    pub read_delay: Duration,
    /// Called at each step of every commit, for tests of what a crash there
    /// leaves. Default: nothing.
    pub at_commit: Option<fn(CommitStep)>,
}

/// How far a commit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitStep {
    /// No copy of what it changes is left, and none can be made.
    Quarantined,
    /// All is written, and COMMIT is sent next.
    Committing,
    /// The database has said that it is done; Redis does not know.
    Committed,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(2),
            longest_transaction: Duration::from_secs(20),
            read_delay: Duration::ZERO,
            at_commit: None,
        }
    }
}

/// Why a database could not be opened. Never shows the URL: it may hold a
/// password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL begins with neither scheme, or cannot be parsed.
    #[error("the database URL must begin with `sqlite:` or `postgres://`")]
    Url,
    /// The database does not answer or refuses.
    #[error("the database could not be opened")]
    Connect(#[source] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("the database's tables could not be brought up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

pub(super) fn understands(url: &str) -> bool {
    if url.starts_with("sqlite:") {
        return names_a_file(url) && SqliteConnectOptions::from_str(url).is_ok();
    }
    let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    postgres && PgConnectOptions::from_str(url).is_ok()
}

/// Without a name SQLite gives each connection an empty database of its own
/// and removes it afterwards.
fn names_a_file(url: &str) -> bool {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    !rest.is_empty() && !rest.starts_with('?')
}

pub(super) async fn sqlite(url: &str, options: &DatabaseOptions) -> Result<SqlitePool, OpenError> {
    if !names_a_file(url) {
        return Err(OpenError::Url);
    }
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    let mut connect = SqliteConnectOptions::from_str(url)
        .map_err(|_| OpenError::Url)?
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(longest_wait_for_a_lock(options));
    let mut pool = SqlitePoolOptions::new().acquire_timeout(options.acquire_timeout);
    if in_memory {
        // The database lives as long as its only connection.
        pool = pool
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None);
    } else {
        // WAL: readers go on while one writes. FULL: what was committed, and
        // announced to every cache, survives a power cut.
        connect = connect
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        // An error that made SQLite roll back by itself leaves a connection
        // that believes to be in a transaction; it is not used again.
        pool = pool
            .max_connections(options.max_connections)
            .before_acquire(|connection, _| {
                Box::pin(async move { Ok(!connection.is_in_transaction()) })
            });
    }
    let pool = pool
        .connect_with(connect)
        .await
        .map_err(OpenError::Connect)?;
    let mut migrations = sqlx::migrate!("migrations/sqlite");
    // Other parts of the system may keep migrations in the same database.
    migrations.set_ignore_missing(true);
    migrations.run(&pool).await.map_err(OpenError::Migrate)?;
    let journal = SqliteJournal::install(pool.clone()).await;
    journal.map_err(OpenError::Connect)?;
    Ok(pool)
}

pub(super) async fn postgres(
    url: &str,
    options: &DatabaseOptions,
    plans: Arc<Plans>,
) -> Result<PgPool, OpenError> {
    let connect = PgConnectOptions::from_str(url)
        .map_err(|_| OpenError::Url)?
        .application_name("tales");
    // Parts of the whole, so that no single wait uses all of it up.
    let longest = options.longest_transaction.as_millis();
    let limits = format!(
        "SELECT set_config('statement_timeout', '{half}', false),
                set_config('idle_in_transaction_session_timeout', '{half}', false),
                set_config('lock_timeout', '{lock}', false);
         SELECT set_config('transaction_timeout', '{longest}', false)
          WHERE 170000 <= current_setting('server_version_num')::int",
        half = longest / 2,
        lock = longest_wait_for_a_lock(options).as_millis(),
    );
    let pool = PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .before_acquire(move |_, connection| {
            let usable = !plans.outdate(connection.age);
            Box::pin(async move { Ok(usable) })
        })
        .after_connect(move |connection, _| {
            let limits = sqlx::AssertSqlSafe(limits.clone());
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(limits)).await?;
                Ok(())
            })
        })
        .connect_with(connect.clone())
        .await;
    let pool = match pool {
        Ok(pool) => pool,
        // It tried again and again, and does not say what was in the way.
        Err(late @ sqlx::Error::PoolTimedOut) => {
            let once_more = PgConnection::connect_with(&connect);
            return Err(OpenError::Connect(
                match timeout(options.acquire_timeout, once_more).await {
                    Ok(Err(why)) => why,
                    _ => late,
                },
            ));
        }
        Err(error) => return Err(OpenError::Connect(error)),
    };
    refuse_a_database_that_is_not_unicode(&pool).await?;
    let mut migrations = sqlx::migrate!("migrations/postgres");
    migrations.set_ignore_missing(true);
    migrations.run(&pool).await.map_err(OpenError::Migrate)?;
    let journal = PostgresJournal::install(pool.clone()).await;
    journal.map_err(OpenError::Connect)?;
    Ok(pool)
}

/// A part of the whole transaction, and less than others wait for what the
/// waiting one has: its connection, and its place among the writes.
fn longest_wait_for_a_lock(options: &DatabaseOptions) -> Duration {
    (options.longest_transaction / 4).min(options.acquire_timeout * 3 / 4)
}

/// Names are compared by their UTF-8 bytes in keys and must be in the table.
async fn refuse_a_database_that_is_not_unicode(pool: &PgPool) -> Result<(), OpenError> {
    let row = pool
        .fetch_one("SELECT current_setting('server_encoding') AS encoding")
        .await
        .map_err(OpenError::Connect)?;
    let encoding: String = row.try_get("encoding").map_err(OpenError::Connect)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let message = format!("the database's encoding must be UTF8, it is {encoding}");
    Err(OpenError::Connect(sqlx::Error::Configuration(
        message.into(),
    )))
}
