//! The journal of `aside` on SQLite and PostgreSQL.
//!
//! Transactional outbox: a write commits even if it cannot reach Redis. In the
//! same transaction it stores its changed keys in the table `cache_journal`.
//! Every instance that reaches Redis drains that table every
//! `CACHE_JOURNAL_POLL_MS`. So the reads of other instances are behind the
//! write for at most that time plus `CACHE_MAX_STALENESS_MS`.
//!
//! 1. Once, at start: [`SqliteJournal::install`] or
//!    [`PostgresJournal::install`] creates the table if it is missing, and
//!    [`CacheService::poll_journal`](aside::CacheService::poll_journal) reads it.
//! 2. Each transaction starts with `begin`, so that triggers skip it. It ends
//!    with `commit`, which `record`s the keys that Redis did not acknowledge.
//!    `commit` also records in the write that the server refused.
//! 3. If other programs write the tables too: `install_triggers` for each
//!    table. Then the journal contains their writes as well.
//!
//! ```no_run
//! use aside::{CacheService, Write};
//! use aside_sqlx::{OutOfReach, SqliteJournal};
//!
//! # async fn start(cache: CacheService, pool: sqlx::SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
//! cache.poll_journal(SqliteJournal::install(pool.clone()).await?).await;
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
//! One table serves one Redis and one namespace, because the instance that
//! processes a row deletes it. A database for two of them needs a schema for
//! each.

mod commit;
mod triggers;
mod postgres;
mod sqlite;

pub use commit::{Commits, certainly_rolled_back, commit};
pub use postgres::PostgresJournal;
pub use sqlite::SqliteJournal;
pub use triggers::{Columns, Triggers};

/// Rows of one SELECT.
const PAGE: i64 = 500;

/// How many characters of a row are read. No row of this library is longer.
const MAX_ENTRY_CHARS: i64 = 8_193;

/// The journal's ids do not come this far by themselves. A greater one was
/// chosen by another program, and may leave no ids for the rows that follow.
const LAST_ID: i64 = 1 << 62;

/// The policy for a write whose keys Redis did not acknowledge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutOfReach {
    /// It stores them in the journal, in the transaction of the write.
    #[default]
    Journal,
    /// It fails, and the caller rolls back. For rows for which an old value is
    /// worse than no write.
    Refuse,
    /// It stores nothing. Another instance may serve the old value until the
    /// writer reaches Redis. If the writer dies first, it may do so until the
    /// TTL.
    Forget,
}

/// The reason why a write must not be committed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// [`OutOfReach::Refuse`], and Redis did not acknowledge these keys. Roll
    /// back, and try again when Redis is available.
    #[error("Redis is out of reach, and this write may not be made without it")]
    Refused,
    /// The journal could not be written. Roll back, or other instances may
    /// continue to serve the old rows.
    #[error("the cache journal could not be written")]
    Database(#[from] sqlx::Error),
}

/// Returns true if there are rows to insert, or an error if the policy refuses
/// the write.
fn is_to_record(
    left: &aside::journal::Unacknowledged<'_>,
    policy: OutOfReach,
) -> Result<bool, RecordError> {
    match policy {
        OutOfReach::Refuse if !left.is_empty() => Err(RecordError::Refused),
        OutOfReach::Journal | OutOfReach::Refuse => Ok(left.journal_entries().next().is_some()),
        OutOfReach::Forget => Ok(false),
    }
}
