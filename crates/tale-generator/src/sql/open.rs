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

/// The options of an open database.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// The maximum number of connections of this process. Default: 10. Writes
    /// use at most half of them, and writes of one row at most two. Pages of
    /// lists that are too large to cache use at most a quarter. An
    /// in-memory database has one connection, because a second one would see a
    /// separate database.
    pub max_connections: u32,
    /// The maximum time that a caller waits for a connection. Default: 2
    /// seconds. A write waits for a row lock three quarters of that, 1.5
    /// seconds, and at most a quarter of the longest transaction.
    pub acquire_timeout: Duration,
    /// The maximum duration of a transaction. Default: 20 seconds. It must stay
    /// below `CACHE_QUARANTINE_TTL_MS`, because that is how long a row stays
    /// out of the cache while the outcome of its write is unknown.
    pub longest_transaction: Duration,
    /// Delay added to each read, for demonstrations. Default: none.
    pub read_delay: Duration,
    /// Called at each step of every commit, for tests of a crash at that step.
    /// Default: none.
    pub at_commit: Option<fn(CommitStep)>,
}

/// The step that a commit has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitStep {
    /// All copies of the changed rows are removed, and none can be filled.
    Quarantined,
    /// All rows are written, and COMMIT is sent next.
    Committing,
    /// The database has confirmed the commit; Redis does not know yet.
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

/// The reason why a database could not be opened. Never shows the URL, because
/// it may contain a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL has an unknown scheme, or cannot be parsed.
    #[error("the database URL must begin with `sqlite:` or `postgres://`")]
    Url,
    /// The file of SQLite cannot be opened.
    #[error("the file cannot be opened; its directory must exist, and both must be writable")]
    File(#[source] sqlx::Error),
    /// The server does not respond or refuses the connection.
    #[error("no connection to PostgreSQL at {0}")]
    Server(String, #[source] sqlx::Error),
    /// The database lacks a feature, or fails while it is prepared.
    #[error("the database could not be opened")]
    Connect(#[source] sqlx::Error),
    /// The migrations failed.
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

/// Without a file name SQLite gives each connection a private empty database,
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
        // The database lives exactly as long as its only connection. sqlx closes
        // a connection if its caller is dropped while the connection is tested.
        pool = pool
            .test_before_acquire(false)
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None);
    } else {
        // WAL: readers continue during a write. FULL: a commit survives a power
        // cut, because every cache has been notified of it.
        connect = connect
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        // After an error, SQLite may roll back by itself. sqlx still counts the
        // connection as inside a transaction, so it is not used again.
        pool = pool
            .max_connections(options.max_connections)
            .before_acquire(|connection, _| {
                Box::pin(async move { Ok(!connection.is_in_transaction()) })
            });
    }
    let pool = pool.connect_with(connect).await.map_err(OpenError::File)?;
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
    // Fractions of the whole, so that no single wait uses all of it.
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
    let unreached = |error| {
        let place = format!("{}:{}", connect.get_host(), connect.get_port());
        OpenError::Server(place, error)
    };
    let pool = match pool {
        Ok(pool) => pool,
        // The pool retried, and its timeout does not contain the cause.
        Err(late @ sqlx::Error::PoolTimedOut) => {
            let once_more = PgConnection::connect_with(&connect);
            return Err(unreached(
                match timeout(options.acquire_timeout, once_more).await {
                    Ok(Err(why)) => why,
                    _ => late,
                },
            ));
        }
        Err(error) => return Err(unreached(error)),
    };
    refuse_a_database_that_is_not_unicode(&pool).await?;
    let mut migrations = sqlx::migrate!("migrations/postgres");
    migrations.set_ignore_missing(true);
    migrations.run(&pool).await.map_err(OpenError::Migrate)?;
    let journal = PostgresJournal::install(pool.clone()).await;
    journal.map_err(OpenError::Connect)?;
    Ok(pool)
}

/// Returns a fraction of the transaction's limit. It is also shorter than
/// `acquire_timeout`, the time that other writers wait for the connection and
/// the place of a blocked write.
fn longest_wait_for_a_lock(options: &DatabaseOptions) -> Duration {
    (options.longest_transaction / 4).min(options.acquire_timeout * 3 / 4)
}

/// Keys compare names by their UTF-8 bytes, so the table must do the same.
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
