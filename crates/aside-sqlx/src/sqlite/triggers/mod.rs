//! Triggers on SQLite, one per row, because SQLite has no others.
//!
//! The triggers of a kind are found by the journal entry in their text. Earlier
//! versions of this library had one set per table, under names without the
//! kind. They are found in the same way, and replaced in one transaction.

mod dialect;
mod statements;

use std::collections::BTreeSet;

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, Executor as _};

use crate::triggers::{Triggers, identifier, whole_kind_entry};

use dialect::Sqlite;
use statements::{TriggerSet, Unique};

/// The mark of the library's open transaction: one row, so that its changes are
/// not recorded a second time. SQLite has one writer at a time and hides
/// uncommitted rows, so no other program ever sees it. It cannot be left
/// behind. It refers to a row that does not exist, so every COMMIT fails while
/// it is present.
pub(super) const MARKS: &str = "CREATE TABLE IF NOT EXISTS cache_journal_writer (
    id INTEGER PRIMARY KEY,
    left_behind INTEGER NOT NULL
        REFERENCES cache_journal_writer (id) DEFERRABLE INITIALLY DEFERRED
)";

/// Without enforced foreign keys there is no mark. Then the library's writes
/// are recorded twice, and nothing is lost.
pub(super) const MARK: &str = "INSERT INTO cache_journal_writer
    SELECT 1, 0 FROM pragma_foreign_keys WHERE foreign_keys
    ON CONFLICT DO NOTHING";

pub(super) const UNMARK: &str = "DELETE FROM cache_journal_writer";

/// An index for the triggers, which search for keys.
const INDEX: &str = "cache_journal_keys";

pub(super) async fn install(pool: &SqlitePool, triggers: &Triggers) -> Result<(), sqlx::Error> {
    triggers.check()?;
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let table = &triggers.table;
    let dialect = Sqlite {
        booleans: booleans(&mut transaction, table).await?,
    };
    let unique = unique_columns(&mut transaction, table).await?;
    let index = format!("CREATE INDEX IF NOT EXISTS {INDEX} ON cache_journal (key)");
    run(&mut transaction, index).await?;
    for kind in &triggers.kinds {
        let set = TriggerSet {
            table,
            kind,
            only: triggers.only.as_deref(),
            unique: &unique,
            dialect: &dialect,
        };
        // SQLite checks a trigger only when it fires, and that is in another
        // program.
        run(&mut transaction, set.check()).await?;
        let statements = set.statements();
        let mut found = installed(&mut transaction, table, Some(kind.kind)).await?;
        found.sort();
        let mut expected = statements.clone();
        expected.sort();
        if found == expected {
            continue;
        }
        drop_installed(&mut transaction, found).await?;
        for (_, create) in statements {
            run(&mut transaction, create).await?;
        }
    }
    transaction.commit().await
}

/// Removes the triggers of one kind from a table, or those of every kind.
pub(super) async fn remove(
    pool: &SqlitePool,
    table: &str,
    kind: Option<&str>,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let found = installed(&mut transaction, table, kind).await?;
    drop_installed(&mut transaction, found).await?;
    // The index is dropped with the last table's triggers.
    let others = "SELECT EXISTS (SELECT 1 FROM sqlite_schema
         WHERE type = 'trigger' AND name GLOB 'cache_journal_*')";
    let others: bool = sqlx::query_scalar(others)
        .fetch_one(&mut *transaction)
        .await?;
    if !others {
        run(&mut transaction, format!("DROP INDEX IF EXISTS {INDEX}")).await?;
    }
    transaction.commit().await
}

/// Returns the triggers of one kind on a table, or those of every kind: their
/// names and texts.
async fn installed(
    connection: &mut SqliteConnection,
    table: &str,
    kind: Option<&str>,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    const INSTALLED: &str = "SELECT name, sql FROM sqlite_schema
         WHERE type = 'trigger' AND tbl_name = $1 COLLATE NOCASE
           AND name GLOB 'cache_journal_*' AND ($2 IS NULL OR 0 < instr(sql, $2))";
    // The name may be `schema.table`.
    sqlx::query_as(INSTALLED)
        .bind(table.rsplit('.').next())
        .bind(kind.map(whole_kind_entry))
        .fetch_all(connection)
        .await
}

async fn drop_installed(
    connection: &mut SqliteConnection,
    found: Vec<(String, String)>,
) -> Result<(), sqlx::Error> {
    for (name, _) in found {
        run(connection, format!("DROP TRIGGER {}", identifier(&name))).await?;
    }
    Ok(())
}

async fn run(connection: &mut SqliteConnection, sql: String) -> Result<(), sqlx::Error> {
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .map(drop)
}

/// Returns the columns declared as booleans, in lower case.
async fn booleans(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<BTreeSet<String>, sqlx::Error> {
    // The other pragma omits generated columns.
    let booleans = "SELECT lower(name) FROM pragma_table_xinfo($1) WHERE type LIKE 'bool%'";
    let booleans = sqlx::query_scalar(booleans).bind(table);
    Ok(booleans.fetch_all(connection).await?.into_iter().collect())
}

/// Returns the columns of every unique constraint.
async fn unique_columns(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<Vec<Unique>, sqlx::Error> {
    // A primary key without an index is that of the rowid.
    let key = "SELECT name, 'BINARY' FROM pragma_table_info($1) WHERE 0 < pk
               AND NOT EXISTS (SELECT 1 FROM pragma_index_list($1) WHERE origin = 'pk')";
    let key: Unique = sqlx::query_as(key)
        .bind(table)
        .fetch_all(&mut *connection)
        .await?;
    let indexes = "SELECT name FROM pragma_index_list($1) WHERE \"unique\"";
    let indexes: Vec<String> = sqlx::query_scalar(indexes)
        .bind(table)
        .fetch_all(&mut *connection)
        .await?;
    let mut unique = BTreeSet::from([key]);
    for index in indexes {
        // Expressions have no name; only the other columns are compared.
        let columns =
            "SELECT name, coll FROM pragma_index_xinfo($1) WHERE key AND name IS NOT NULL";
        let columns: Unique = sqlx::query_as(columns)
            .bind(index)
            .fetch_all(&mut *connection)
            .await?;
        unique.insert(columns);
    }
    unique.remove(&Vec::new());
    Ok(unique.into_iter().collect())
}
