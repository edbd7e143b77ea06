//! The journal over a connection of SeaORM.

use std::convert::Infallible;
use std::time::Duration;

use aside::journal::{Journal, JournalRow, JournalState};
use sea_orm::{DatabaseConnection, DbBackend, DbErr};

/// The journal of a database, on the pool of a [`DatabaseConnection`].
///
/// The table is that of `aside-sqlx`, and so are its triggers:
/// `PostgresJournal::new(db.get_postgres_connection_pool().clone())` installs them.
#[derive(Clone, Debug)]
pub struct SeaOrmJournal {
    connection: DatabaseConnection,
    on: On,
}

#[derive(Clone, Debug)]
enum On {
    #[cfg(feature = "postgres")]
    Postgres(aside_sqlx::PostgresJournal),
    #[cfg(feature = "sqlite")]
    Sqlite(aside_sqlx::SqliteJournal),
    #[cfg(feature = "mysql")]
    MySql(aside_sqlx::MySqlJournal),
    /// For a build without any database.
    #[allow(dead_code)]
    Nowhere(Infallible),
}

/// The same call on each journal.
macro_rules! on {
    ($journal:expr, $it:ident => $work:expr) => {
        match &$journal.on {
            #[cfg(feature = "postgres")]
            On::Postgres($it) => $work,
            #[cfg(feature = "sqlite")]
            On::Sqlite($it) => $work,
            #[cfg(feature = "mysql")]
            On::MySql($it) => $work,
            On::Nowhere(never) => match *never {},
        }
    };
}

impl SeaOrmJournal {
    /// Creates the journal's tables if they are missing; see the `install` of the
    /// database's journal in `aside-sqlx`.
    ///
    /// # Errors
    /// The database's, or [`DbErr::BackendNotSupported`] for one whose feature is off.
    pub async fn install(connection: &DatabaseConnection) -> Result<Self, DbErr> {
        let on = match connection.get_database_backend() {
            #[cfg(feature = "postgres")]
            DbBackend::Postgres => {
                let pool = connection.get_postgres_connection_pool().clone();
                let journal = aside_sqlx::PostgresJournal::install(pool).await;
                On::Postgres(journal.map_err(sqlx_error)?)
            }
            #[cfg(feature = "sqlite")]
            DbBackend::Sqlite => {
                let pool = connection.get_sqlite_connection_pool().clone();
                let journal = aside_sqlx::SqliteJournal::install(pool).await;
                On::Sqlite(journal.map_err(sqlx_error)?)
            }
            #[cfg(feature = "mysql")]
            DbBackend::MySql => {
                let pool = connection.get_mysql_connection_pool().clone();
                let journal = aside_sqlx::MySqlJournal::install(pool).await;
                On::MySql(journal.map_err(sqlx_error)?)
            }
            #[allow(unreachable_patterns)]
            other => {
                return Err(DbErr::BackendNotSupported {
                    db: name_of(other),
                    ctx: "aside-sea-orm was built without its feature",
                });
            }
        };
        Ok(Self {
            connection: connection.clone(),
            on,
        })
    }

    pub(crate) fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }
}

/// Returns an error of the pool as SeaORM shows it.
#[allow(dead_code)]
fn sqlx_error(error: sea_orm::SqlxError) -> DbErr {
    DbErr::Exec(sea_orm::RuntimeErr::SqlxError(error.into()))
}

#[allow(dead_code)]
fn name_of(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "PostgreSQL",
        DbBackend::Sqlite => "SQLite",
        DbBackend::MySql => "MySQL",
        _ => "this database",
    }
}

impl Journal for SeaOrmJournal {
    type Error = sea_orm::SqlxError;

    async fn newest(&self) -> Result<Option<i64>, Self::Error> {
        on!(self, journal => journal.newest().await)
    }

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, Self::Error> {
        on!(self, journal => journal.page(after).await)
    }

    async fn state(&self) -> Result<JournalState, Self::Error> {
        on!(self, journal => journal.state().await)
    }

    async fn renew(&self, position: u64) -> Result<(), Self::Error> {
        on!(self, journal => journal.renew(position).await)
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), Self::Error> {
        on!(self, journal => journal.delete(ids).await)
    }

    async fn hot_set(&self, kind: &str, max_age: Duration) -> Result<Vec<String>, Self::Error> {
        on!(self, journal => journal.hot_set(kind, max_age).await)
    }

    async fn replace_hot_set(&self, kind: &str, parts: &[String]) -> Result<(), Self::Error> {
        on!(self, journal => journal.replace_hot_set(kind, parts).await)
    }
}
