//! The three tables in one of the databases.
//!
//! Everything above this module is written once for both: a [`Dialect`] has the
//! few differences that the tables of `aside-sqlx` leave.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aside_sqlx::{Changeable, SqlTable, Table, TableError, Tables};
use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;
use sqlx::{Encode, IntoArguments, Pool, Type};

use super::limits::Limits;
use crate::columns::{Id, Time};
use crate::domain::{Child, Hero, Story};

/// A database. Its types are those of values that a statement binds.
pub(crate) trait Dialect: Changeable + Tables<Arguments: IntoArguments<Self>> {
    type Id: From<Id> + for<'q> Encode<'q, Self> + Type<Self> + Send + 'static;
    type Time: From<Time> + for<'q> Encode<'q, Self> + Type<Self> + Send + 'static;
    type Text: From<String> + for<'q> Encode<'q, Self> + Type<Self> + Send + 'static;
    type Number: From<i32> + for<'q> Encode<'q, Self> + Type<Self> + Send + 'static;

    /// Begins a transaction that reads all rows as of one moment, with no limit
    /// on its duration.
    fn begin_snapshot(
        pool: &Pool<Self>,
    ) -> impl Future<Output = Result<sqlx::Transaction<'static, Self>, TableError>> + Send;

    /// Runs a statement that reads nothing.
    fn ping(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), TableError>> + Send;
}

impl Dialect for Sqlite {
    type Id = Id;
    type Time = Time;
    type Text = String;
    type Number = i32;

    async fn begin_snapshot(
        pool: &Pool<Self>,
    ) -> Result<sqlx::Transaction<'static, Self>, TableError> {
        Ok(pool.begin().await?)
    }

    async fn ping(connection: &mut Self::Connection) -> Result<(), TableError> {
        sqlx::query("SELECT 1").execute(connection).await?;
        Ok(())
    }
}

impl Dialect for Postgres {
    type Id = Id;
    type Time = Time;
    type Text = String;
    type Number = i32;

    async fn begin_snapshot(
        pool: &Pool<Self>,
    ) -> Result<sqlx::Transaction<'static, Self>, TableError> {
        const WITHOUT_LIMITS: &str = "SELECT set_config(name, '0', true) FROM pg_settings
             WHERE name IN ('transaction_timeout', 'idle_in_transaction_session_timeout')";
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut inner = pool.begin_with(begin).await?;
        sqlx::query(WITHOUT_LIMITS).execute(&mut *inner).await?;
        Ok(inner)
    }

    async fn ping(connection: &mut Self::Connection) -> Result<(), TableError> {
        sqlx::query("SELECT 1").execute(connection).await?;
        Ok(())
    }
}

/// The pool of a database, its tables and its limits.
pub(crate) struct Store<D: Dialect> {
    pub(super) pool: Pool<D>,
    pub(super) journal: D::Journal,
    pub(super) heroes: SqlTable<Hero, D>,
    pub(super) children: SqlTable<Child, D>,
    pub(super) stories: SqlTable<Story, D>,
    pub(super) limits: Limits,
}

impl<D: Dialect> Store<D>
where
    Hero: Table<D>,
    Child: Table<D>,
    Story: Table<D>,
{
    /// Returns the tables of an open database.
    pub(super) fn new(pool: Pool<D>, journal: D::Journal, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            heroes: Hero::table(&pool).with_journal(&journal),
            children: Child::table(&pool).with_journal(&journal),
            stories: Story::table(&pool).with_journal(&journal),
            pool,
            journal,
            limits,
        })
    }
}

impl<D: Dialect> fmt::Debug for Store<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Store")
            .field("journal", &self.journal)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
