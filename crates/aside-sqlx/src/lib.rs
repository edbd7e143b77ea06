//! Repositories, transactions, commits and the journal of `aside` on PostgreSQL, SQLite,
//! MySQL and MariaDB.
//!
//! [`#[derive(Table)]`](macro@Table) writes the repository of a table.
//!
//! Transactional outbox: a write commits even if it cannot reach Redis. In the
//! same transaction it stores its changed keys in the table `cache_journal`.
//! Every instance that reaches Redis drains that table every
//! `CACHE_JOURNAL_POLL_MS`. So the reads of other instances are behind the
//! write for at most that time plus `CACHE_MAX_STALENESS_MS`.
//!
//! 1. Once, at start: [`PostgresJournal::install`], [`SqliteJournal::install`] or
//!    [`MySqlJournal::install`] creates the table if it is missing, and
//!    [`CacheService::poll_journal`](aside::CacheService::poll_journal) reads it.
//! 2. In a handler, [`CacheService::begin`](aside::CacheService::begin) begins a
//!    transaction that triggers skip. Its `commit` stores the keys that Redis
//!    did not acknowledge, and judges a COMMIT that failed.
//!    In a repository, which receives its [`Write`](aside::Write), each journal
//!    has `begin` and `commit` for that.
//! 3. If other programs write the tables too: `install_triggers` for each
//!    table. Then the journal contains their writes as well.
//!
//! ```no_run
//! use aside::CacheService;
//! use aside_sqlx::SqliteJournal;
//!
//! # #[derive(Clone, serde::Serialize, serde::Deserialize, aside::Entity)]
//! # #[entity(kind = "hero")]
//! # struct Hero { #[entity(id)] id: i64 }
//! # async fn start(cache: CacheService, pool: sqlx::SqlitePool, before: Hero, after: Hero) -> Result<(), Box<dyn std::error::Error>> {
//! let journal = SqliteJournal::install(pool).await?;
//! cache.poll_journal(journal.clone()).await;
//!
//! let mut transaction = cache.begin(&journal).await?;
//! // ... lock and read a row, then change it ...
//! sqlx::query("UPDATE heroes SET ...").execute(&mut *transaction).await?;
//! transaction.updated(&before, &after);
//! transaction.commit().await?;
//! # Ok(()) }
//! ```
//!
//! [`Changes::change`] runs a statement for rows of which only a condition is
//! known, and an upsert. It records the rows before and after.
//!
//! # Features
//!
//! `postgres`, `sqlite` and `mysql`; none is on by default. TLS to the database is a
//! feature of sqlx, which the service enables at its own dependency.
//!
//! MySQL and MariaDB have transactions, commits and the journal. They have neither
//! triggers nor [`Changes::change`]: no UPDATE there returns its rows, so [`Changeable`]
//! is not implemented. Lock and read the rows with `SELECT ... FOR UPDATE`, change them,
//! read them again by id, and record both.
//!
//! Without a journal, [`commit()`] does the same for a write.
//!
//! One table serves one Redis and one namespace, because the instance that
//! processes a row deletes it. A database for two of them needs a schema for
//! each.

// Each database uses a part of the shared code.
#![cfg_attr(
    not(all(feature = "postgres", feature = "sqlite")),
    allow(dead_code, unused_imports, unreachable_pub)
)]

mod verdict;
mod commit;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
mod renewals;
mod triggers;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "mysql")]
mod mysql;
mod transaction;
mod changeable;
mod change;
mod changes;
mod table;
#[doc(hidden)]
pub mod for_macros;

#[doc = include_str!("docs/derive_table.md")]
#[doc(inline)]
pub use aside::for_adapters::Table;
pub use aside::transaction::OutOfReach;
pub use change::{Change, Changed};
pub use changeable::Changeable;
pub use changes::{Changes, change};
pub use commit::{Commits, commit};
#[cfg(feature = "mysql")]
pub use mysql::MySqlJournal;
#[cfg(feature = "postgres")]
pub use postgres::PostgresJournal;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteJournal;
pub use table::{ColumnAs, Inserts, Select, SqlTable, Table, TableError, Tables};
pub use transaction::Transaction;
pub use triggers::Columns;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use triggers::Triggers;
pub use verdict::certainly_rolled_back;

/// The reason why a write must not be committed: [`OutOfReach::Refuse`], or the
/// journal could not be written. Roll back, or other instances may continue to
/// serve the old rows.
pub type RecordError = aside::transaction::CommitError<sqlx::Error>;

/// Rows of one SELECT.
const PAGE: i64 = 500;

/// How many characters of a row are read. No row of this library is longer.
const MAX_ENTRY_CHARS: i64 = 8_193;

/// The journal's ids do not come this far by themselves. A greater one was
/// chosen by another program, and may leave no ids for the rows that follow.
const LAST_ID: i64 = 1 << 62;
