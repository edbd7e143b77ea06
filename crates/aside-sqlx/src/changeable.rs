//! The statements of a database that return the rows they change.

use std::future::Future;

#[cfg(feature = "postgres")]
use sqlx::Postgres;
#[cfg(feature = "sqlite")]
use sqlx::Sqlite;
use sqlx::{AssertSqlSafe, Row as _};

use crate::Commits;

/// The column that says if an upsert inserted its row.
pub(crate) const IS_NEW: &str = "aside_is_new";

/// The databases that return the rows of a statement: PostgreSQL and SQLite.
#[diagnostic::on_unimplemented(
    message = "`change` needs an UPDATE that returns its rows, and `{Self}` has none",
    note = "lock and read the rows with `SELECT ... FOR UPDATE`, change them, read them again by \
            id, and record both with `updated`"
)]
pub trait Changeable: Commits {
    #[doc(hidden)]
    const FOR_UPDATE: &'static str;

    /// Returns the SQL of all columns of a table.
    #[doc(hidden)]
    fn all_columns(table: &str) -> String;

    /// Returns the SQL of a value that is true if an upsert inserted its row.
    #[doc(hidden)]
    fn is_new(table: &str) -> String;

    /// Returns the value of [`is_new`](Self::is_new).
    #[doc(hidden)]
    fn get(row: &Self::Row) -> Result<bool, sqlx::Error>;

    #[doc(hidden)]
    fn fetch(
        connection: &mut Self::Connection,
        sql: String,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;
}

/// The same calls of sqlx on either database, which generics cannot express.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
macro_rules! through_sqlx {
    () => {
        fn get(row: &Self::Row) -> Result<bool, sqlx::Error> {
            row.try_get(IS_NEW)
        }

        async fn fetch(
            connection: &mut Self::Connection,
            sql: String,
            arguments: Self::Arguments,
        ) -> Result<Vec<Self::Row>, sqlx::Error> {
            let query = sqlx::query_with(AssertSqlSafe(sql), arguments);
            query.fetch_all(connection).await
        }
    };
}

#[cfg(feature = "postgres")]
impl Changeable for Postgres {
    const FOR_UPDATE: &'static str = "FOR UPDATE";

    fn all_columns(table: &str) -> String {
        // An UPDATE with FROM would return the columns of the other tables, too.
        format!("{table}.*")
    }

    fn is_new(table: &str) -> String {
        // ON CONFLICT locks a row before it updates it, and the new version keeps
        // the lock.
        format!("({table}.xmax = 0)")
    }

    through_sqlx!();
}

#[cfg(feature = "sqlite")]
impl Changeable for Sqlite {
    /// There is one writer at a time.
    const FOR_UPDATE: &'static str = "";

    fn all_columns(_: &str) -> String {
        // RETURNING accepts no other form.
        "*".to_owned()
    }

    fn is_new(_: &str) -> String {
        // No other transaction can have added it meanwhile, and the condition
        // holds for the rows that were there.
        "TRUE".to_owned()
    }

    through_sqlx!();
}
