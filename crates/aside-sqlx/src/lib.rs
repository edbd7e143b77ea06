//! The journal of `aside` on SQLite and PostgreSQL.
//!
//! A write that cannot reach Redis is committed all the same. So that others
//! learn of it, it stores the keys it changed in the table `cache_journal`, in
//! its own transaction, and every instance that does reach Redis works that
//! table off every `CACHE_JOURNAL_POLL_MS`. What another instance reads is
//! then at most that long, and `CACHE_MAX_STALENESS_MS`, behind the write.
//!
//! 1. Once, at start: [`SqliteJournal::install`] or
//!    [`PostgresJournal::install`] creates the table if it is missing, and
//!    [`CacheService::drain`](aside::CacheService::drain) reads it.
//! 2. Each transaction begins by `begin`, so that triggers pass it over, and
//!    ends by `commit`, which `record`s what Redis did not acknowledge and
//!    tells the write if the server refused.
//! 3. Where other programs write the tables too: `install_triggers`, once for
//!    each table. Then the journal tells of their writes as well.
//!
//! ```no_run
//! use aside::{CacheService, Write};
//! use aside_sqlx::{OutOfReach, SqliteJournal};
//!
//! # async fn start(cache: CacheService, pool: sqlx::SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
//! cache.drain(SqliteJournal::install(pool.clone()).await?).await;
//!
//! let mut write: Write = cache.write();
//! let mut transaction = SqliteJournal::begin(&pool, &write).await?;
//! // ... lock, write, write.updated(&before, &after) ...
//! SqliteJournal::commit(transaction, &mut write, OutOfReach::Journal).await?;
//! write.committed().await;
//! # Ok(()) }
//! ```
//!
//! Without a journal, [`commit()`] does the same for a write.
//!
//! One table serves one Redis and one namespace: whoever works a row off
//! deletes it. A database that serves two of them needs a schema for each.

mod commit;
mod postgres;
mod sqlite;
mod triggers;

pub use commit::{Commits, certainly_rolled_back, commit};
pub use postgres::PostgresJournal;
pub use sqlite::SqliteJournal;
pub use triggers::Triggers;

/// Rows of one SELECT.
const PAGE: i64 = 500;

/// What a write does whose keys Redis did not acknowledge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutOfReach {
    /// It stores them in the journal, in its own transaction.
    #[default]
    Journal,
    /// It fails, and the caller rolls back: for rows of which an old value is
    /// worse than no write.
    Refuse,
    /// It stores nothing. Another instance may serve the old value until the
    /// writer reaches Redis, and where the writer dies first until its TTL.
    Forget,
}

/// Why a write may not be committed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// [`OutOfReach::Refuse`], and Redis did not acknowledge these keys: roll
    /// back, and try again when it is back.
    #[error("Redis is out of reach, and this write may not be made without it")]
    Refused,
    /// The journal could not be written: roll back, or others may go on
    /// serving the old rows.
    #[error("the cache journal could not be written")]
    Database(#[from] sqlx::Error),
}

/// Whether there are rows to insert, if the policy lets the write go on.
fn is_to_record(left: &aside::Unquarantined<'_>, policy: OutOfReach) -> Result<bool, RecordError> {
    match policy {
        OutOfReach::Refuse if !left.is_empty() => Err(RecordError::Refused),
        OutOfReach::Journal | OutOfReach::Refuse => Ok(left.rows().next().is_some()),
        OutOfReach::Forget => Ok(false),
    }
}
