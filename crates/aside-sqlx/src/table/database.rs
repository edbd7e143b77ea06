//! The databases of tables, and the SQL that differs between them.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use aside::Write;
use futures_util::stream::BoxStream;
#[cfg(feature = "mysql")]
use sqlx::MySql;
#[cfg(feature = "postgres")]
use sqlx::Postgres;
#[cfg(feature = "sqlite")]
use sqlx::Sqlite;
use sqlx::error::BoxDynError;
use sqlx::{AssertSqlSafe, Pool, Row as _};

use crate::Commits;

/// The column with the number of a list, if one statement reads several.
pub(super) const LIST: &str = "aside_list";

/// The databases that have a [`SqlTable`](crate::SqlTable): PostgreSQL, SQLite and MySQL,
/// each with its feature.
pub trait Tables: Commits {
    /// Its journal.
    type Journal: Clone + Debug + Send + Sync + 'static;

    /// Locks the rows of a SELECT.
    #[doc(hidden)]
    const FOR_UPDATE: &'static str;

    /// Locks them against changes, and shares the lock.
    #[doc(hidden)]
    const FOR_SHARE: &'static str;

    /// True if a statement returns the rows that it changes.
    #[doc(hidden)]
    const HAS_RETURNING: bool;

    /// The end of an INSERT without columns.
    #[doc(hidden)]
    const DEFAULT_VALUES: &'static str;

    #[doc(hidden)]
    fn quote(name: &str) -> String;

    /// Returns the parameter with this number, from 1 on.
    #[doc(hidden)]
    fn parameter(number: usize) -> String;

    /// Returns the number of the list that a row is in.
    #[doc(hidden)]
    fn list_of(row: &Self::Row) -> Result<usize, sqlx::Error>;

    #[doc(hidden)]
    fn pool_of(journal: &Self::Journal) -> &Pool<Self>;

    /// Begins a transaction of a write, with or without a journal.
    #[doc(hidden)]
    fn begin(
        pool: &Pool<Self>,
        has_journal: bool,
        write: &Write,
    ) -> impl Future<Output = Result<sqlx::Transaction<'static, Self>, sqlx::Error>> + Send;

    #[doc(hidden)]
    fn add_integer(arguments: &mut Self::Arguments, value: i64) -> Result<(), BoxDynError>;

    #[doc(hidden)]
    fn fetch_in(
        connection: &mut Self::Connection,
        sql: Arc<str>,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    #[doc(hidden)]
    fn stream_in(
        connection: &mut Self::Connection,
        sql: Arc<str>,
        arguments: Self::Arguments,
    ) -> BoxStream<'_, Result<Self::Row, sqlx::Error>>;
}

/// The same calls on each database, which generics cannot express.
#[cfg(any(feature = "postgres", feature = "sqlite", feature = "mysql"))]
macro_rules! through_journal {
    ($journal:ident, $begin:expr, $integer:ty) => {
        type Journal = crate::$journal;

        fn list_of(row: &Self::Row) -> Result<usize, sqlx::Error> {
            let list: $integer = row.try_get(LIST)?;
            usize::try_from(list).map_err(|error| sqlx::Error::Decode(error.into()))
        }

        fn pool_of(journal: &Self::Journal) -> &Pool<Self> {
            journal.pool()
        }

        async fn begin(
            pool: &Pool<Self>,
            has_journal: bool,
            write: &Write,
        ) -> Result<sqlx::Transaction<'static, Self>, sqlx::Error> {
            if has_journal {
                return crate::$journal::begin(pool, write).await;
            }
            pool.begin_with($begin).await
        }

        fn add_integer(arguments: &mut Self::Arguments, value: i64) -> Result<(), BoxDynError> {
            sqlx::Arguments::add(arguments, value)
        }

        async fn fetch_in(
            connection: &mut Self::Connection,
            sql: Arc<str>,
            arguments: Self::Arguments,
        ) -> Result<Vec<Self::Row>, sqlx::Error> {
            let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
            query.fetch_all(connection).await
        }

        fn stream_in(
            connection: &mut Self::Connection,
            sql: Arc<str>,
            arguments: Self::Arguments,
        ) -> BoxStream<'_, Result<Self::Row, sqlx::Error>> {
            sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(connection)
        }
    };
}

#[cfg(feature = "postgres")]
impl Tables for Postgres {
    const FOR_UPDATE: &'static str = " FOR UPDATE";
    const FOR_SHARE: &'static str = " FOR SHARE";
    const HAS_RETURNING: bool = true;
    const DEFAULT_VALUES: &'static str = "DEFAULT VALUES";

    fn quote(name: &str) -> String {
        crate::triggers::table(name)
    }

    fn parameter(number: usize) -> String {
        format!("${number}")
    }

    through_journal!(PostgresJournal, "BEGIN", i32);
}

#[cfg(feature = "sqlite")]
impl Tables for Sqlite {
    /// There is one writer at a time.
    const FOR_UPDATE: &'static str = "";
    const FOR_SHARE: &'static str = "";
    const HAS_RETURNING: bool = true;
    const DEFAULT_VALUES: &'static str = "DEFAULT VALUES";

    fn quote(name: &str) -> String {
        crate::triggers::table(name)
    }

    fn parameter(number: usize) -> String {
        format!("?{number}")
    }

    through_journal!(SqliteJournal, "BEGIN IMMEDIATE", i64);
}

#[cfg(feature = "mysql")]
impl Tables for MySql {
    const FOR_UPDATE: &'static str = " FOR UPDATE";
    /// MariaDB has no `FOR SHARE`.
    const FOR_SHARE: &'static str = " LOCK IN SHARE MODE";
    /// MariaDB has it for INSERT and DELETE alone, and MySQL nowhere.
    const HAS_RETURNING: bool = false;
    const DEFAULT_VALUES: &'static str = "() VALUES ()";

    fn quote(name: &str) -> String {
        let parts: Vec<String> = name.split('.').map(|part| format!("`{part}`")).collect();
        parts.join(".")
    }

    fn parameter(_: usize) -> String {
        "?".to_owned()
    }

    through_journal!(MySqlJournal, "BEGIN", i64);
}
