//! The journal on MySQL and MariaDB.

use std::time::Duration;

use aside::{
    Write,
    journal::{Journal, JournalRow, JournalState},
};
use sqlx::mysql::{MySql, MySqlConnection, MySqlDatabaseError, MySqlPool};
use sqlx::{Executor as _, QueryBuilder};

use crate::renewals::{self, RENEW};
use crate::{Commits, MAX_ENTRY_CHARS, PAGE};

/// `utf8mb4_bin`, because keys differ by case and by trailing blanks of values.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS cache_journal (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `key` TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE = InnoDB";

/// One row. Its name stays that of the database, and instances raise the number, so a
/// copy that is put back has a smaller one.
const HISTORY: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS cache_journal_history (
    id INT NOT NULL PRIMARY KEY,
    name VARCHAR(64) CHARACTER SET ascii NOT NULL,
    renewals BIGINT NOT NULL
) ENGINE = InnoDB",
    "INSERT IGNORE INTO cache_journal_history VALUES (1, uuid(), 0)",
];

const HOT_SET: &str = "CREATE TABLE IF NOT EXISTS cache_hot_set (
    kind VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    part INT NOT NULL,
    `keys` TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (kind, part)
) ENGINE = InnoDB";

/// `ER_NO_SUCH_TABLE`.
const NO_SUCH_TABLE: u16 = 1146;

/// Up to so many rows are inserted one by one, because a statement with several
/// returns the id of the first alone.
const MAX_ROWS_WITH_IDS: usize = 16;

/// Rows of one INSERT or DELETE.
const ROWS_PER_STATEMENT: usize = 500;

/// The journal of a MySQL or MariaDB database, on InnoDB.
///
/// MySQL 8.0, MariaDB 10.2.4 or later: earlier ones may give an id a second time
/// after a restart. There are no triggers for writes of other programs, and
/// [`change`](crate::Changes::change) does not compile: it needs an UPDATE that
/// returns its rows.
///
/// ```compile_fail,E0277
/// # use aside_sqlx::{Changes as _, MySqlJournal};
/// # #[derive(Clone, serde::Serialize, serde::Deserialize, aside::Entity, sqlx::FromRow)]
/// # #[entity(kind = "hero")]
/// # struct Hero { #[entity(id)] id: i64 }
/// # async fn hide(cache: aside::CacheService, journal: MySqlJournal) -> Result<(), sqlx::Error> {
/// let mut transaction = cache.begin(&journal).await?;
/// transaction.change::<Hero>("heroes");
/// # Ok(()) }
/// ```
///
/// A row before a change must be read with `FOR UPDATE`. Under REPEATABLE READ, which
/// is the default, a plain SELECT returns it as it was at the first SELECT of the
/// transaction, and its lists would be wrong. A statement that defines tables commits
/// the open transaction, so it must not run in one.
#[derive(Clone, Debug)]
pub struct MySqlJournal(MySqlPool);

impl MySqlJournal {
    /// Returns the journal of a database in which [`install`](Self::install) is
    /// known to have run.
    #[must_use]
    pub fn new(pool: MySqlPool) -> Self {
        Self(pool)
    }

    /// Creates the tables `cache_journal`, `cache_journal_history` and `cache_hot_set`
    /// if they are missing. Instances write the second about once a second, to notice that a
    /// copy of the database was put back.
    ///
    /// # Errors
    /// The database's.
    pub async fn install(pool: MySqlPool) -> Result<Self, sqlx::Error> {
        pool.execute(TABLE).await?;
        for statement in HISTORY {
            pool.execute(statement).await?;
        }
        pool.execute(HOT_SET).await?;
        Ok(Self(pool))
    }

    /// Begins the transaction of a write.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(
        pool: &MySqlPool,
        _: &Write,
    ) -> Result<sqlx::Transaction<'static, MySql>, sqlx::Error> {
        pool.begin().await
    }

    pub(crate) fn pool(&self) -> &MySqlPool {
        &self.0
    }
}

impl Commits for MySql {
    /// Returns no ids of many rows. Those of whole kinds are few.
    async fn insert(
        connection: &mut MySqlConnection,
        entries: &[String],
    ) -> Result<Vec<i64>, sqlx::Error> {
        let mut ids = Vec::new();
        if entries.len() <= MAX_ROWS_WITH_IDS {
            for entry in entries {
                let insert = sqlx::query("INSERT INTO cache_journal (`key`) VALUES (?)");
                let inserted = insert.bind(entry).execute(&mut *connection).await?;
                ids.extend(i64::try_from(inserted.last_insert_id()));
            }
            return Ok(ids);
        }
        for entries in entries.chunks(ROWS_PER_STATEMENT) {
            let mut insert = QueryBuilder::<Self>::new("INSERT INTO cache_journal (`key`) ");
            insert.push_values(entries, |mut row, entry| {
                row.push_bind(entry);
            });
            insert.build().execute(&mut *connection).await?;
        }
        Ok(ids)
    }

    async fn unmark(_: &mut MySqlConnection) -> Result<(), sqlx::Error> {
        // There are no triggers, and so no marks.
        Ok(())
    }
}

impl Journal for MySqlJournal {
    type Error = sqlx::Error;

    async fn state(&self) -> Result<JournalState, sqlx::Error> {
        let newest = self.newest().await?;
        // A replica that was promoted has the same name, and may have lost rows.
        let sql = "SELECT concat(name, '/', @@server_id), renewals FROM cache_journal_history";
        let row = sqlx::query_as(sql).fetch_one(&self.0).await;
        let history = renewals::history(row, |error| {
            let error = error.try_downcast_ref::<MySqlDatabaseError>();
            error.is_some_and(|error| error.number() == NO_SUCH_TABLE)
        });
        Ok(JournalState { newest, history })
    }

    async fn renew(&self, position: u64) -> Result<(), sqlx::Error> {
        let renew = sqlx::query(RENEW).bind(i64::try_from(position).unwrap_or(i64::MAX));
        renew.execute(&self.0).await.map(drop)
    }

    async fn newest(&self) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("SELECT max(id) FROM cache_journal")
            .fetch_one(&self.0)
            .await
    }

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, sqlx::Error> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, left(`key`, ?) FROM cache_journal WHERE ? < id ORDER BY id LIMIT ?",
        )
        .bind(MAX_ENTRY_CHARS)
        .bind(after)
        .bind(PAGE)
        .fetch_all(&self.0)
        .await?;
        let row = |(id, entry)| JournalRow { id, entry };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), sqlx::Error> {
        for ids in ids.chunks(ROWS_PER_STATEMENT) {
            let mut delete = QueryBuilder::<MySql>::new("DELETE FROM cache_journal WHERE id IN (");
            let mut list = delete.separated(", ");
            for id in ids {
                list.push_bind(*id);
            }
            list.push_unseparated(")");
            delete.build().execute(&self.0).await?;
        }
        Ok(())
    }

    async fn hot_set(&self, kind: &str, max_age: Duration) -> Result<Vec<String>, sqlx::Error> {
        let parts = "SELECT `keys` FROM cache_hot_set
              WHERE kind = ? AND CURRENT_TIMESTAMP - INTERVAL ? SECOND < at ORDER BY part";
        let parts = sqlx::query_scalar(parts).bind(kind);
        parts.bind(max_age.as_secs()).fetch_all(&self.0).await
    }

    async fn replace_hot_set(&self, kind: &str, parts: &[String]) -> Result<(), sqlx::Error> {
        let mut transaction = self.0.begin().await?;
        let delete = sqlx::query("DELETE FROM cache_hot_set WHERE kind = ?").bind(kind);
        delete.execute(&mut *transaction).await?;
        let insert = "INSERT INTO cache_hot_set (kind, part, `keys`) VALUES (?, ?, ?)";
        for (number, part) in (1_i32..).zip(parts) {
            let insert = sqlx::query(insert).bind(kind).bind(number).bind(part);
            insert.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}
