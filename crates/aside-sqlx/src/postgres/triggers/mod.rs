//! Triggers on PostgreSQL: one per kind of rows and kind of statement, with the
//! changed rows as a table.
//!
//! The triggers of a kind are found by the function that they call, and it by
//! the journal entry in its source. Earlier versions of this library had one
//! function and four triggers per table, under names without the kind. They are
//! found in the same way, and replaced in one transaction. While it runs, other
//! programs wait to write the table, so no write is missed.

mod dialect;
mod function;

use std::collections::BTreeSet;

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Executor as _};

use crate::triggers::{KindKeys, Triggers, identifier, short, table, whole_kind_entry};

use dialect::{COMPOSED, JSON, SEGMENT, Shared};

/// The mark of the library's own transactions, so that their changes are not
/// recorded a second time. It ends with the transaction, so it cannot leak
/// through a connection pooler into the next one.
pub(super) const MARK: &str = "SET LOCAL aside.writer = 'on'";

/// The same without a separate round trip.
pub(super) const BEGIN: &str = "BEGIN; SET LOCAL aside.writer = 'on'";

/// The prefix of the functions of single tables.
const OF_TABLE: &str = "cache_journal_of_";

const OPERATIONS: [(&str, &str); 4] = [
    ("INSERT", "REFERENCING NEW TABLE AS aside_after"),
    (
        "UPDATE",
        "REFERENCING OLD TABLE AS aside_before NEW TABLE AS aside_after",
    ),
    ("DELETE", "REFERENCING OLD TABLE AS aside_before"),
    ("TRUNCATE", ""),
];

pub(super) async fn install(pool: &PgPool, triggers: &Triggers) -> Result<(), sqlx::Error> {
    triggers.check()?;
    let mut transaction = pool.begin().await?;
    super::lock(&mut transaction).await?;
    let schema = refuse_another_encoding(&mut transaction).await?;
    for shared in Shared::all() {
        if !is_current(&mut transaction, &shared).await? {
            run(&mut transaction, shared.create(&schema)).await?;
        }
    }
    let table = Table::of(&mut transaction, &triggers.table).await?;
    let columns = triggers.only.as_ref();
    let columns = columns.and_then(|columns| table.compared(columns));
    for kind in &triggers.kinds {
        install_kind(&mut transaction, &schema, &table, kind, columns.as_deref()).await?;
    }
    transaction.commit().await
}

/// Puts the triggers of one kind on a table, in place of earlier ones. Does
/// nothing if they are there, so that a service can call it at each start
/// without waiting for the table.
async fn install_kind(
    connection: &mut PgConnection,
    schema: &str,
    table: &Table,
    kind: &KindKeys,
    columns: Option<&[String]>,
) -> Result<(), sqlx::Error> {
    let source = function::source(kind, columns);
    let found = installed(connection, &table.name, Some(kind.kind)).await?;
    let names: BTreeSet<String> = OPERATIONS
        .iter()
        .map(|it| trigger_name(kind, it.0))
        .collect();
    let is_current = |it: &Installed| it.is_enabled && it.source == source;
    if found.iter().all(is_current) && names == found.iter().map(|it| it.name.clone()).collect() {
        return Ok(());
    }
    // PostgreSQL checks a function only when it runs, and that is in another
    // program.
    let check = function::check(kind, &table.name, columns.unwrap_or_default());
    run(connection, check).await?;
    drop_installed(connection, &table.name, &found).await?;
    let function = format!("{OF_TABLE}{}_{}", short(kind.kind), table.oid);
    let function = format!("{}.{}", identifier(schema), identifier(&function));
    run(connection, function::create(schema, &function, &source)).await?;
    for (operation, changed) in OPERATIONS {
        let create = format!(
            "CREATE TRIGGER {} AFTER {operation} ON {} {changed}
             FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
            identifier(&trigger_name(kind, operation)),
            table.name,
        );
        run(connection, create).await?;
    }
    Ok(())
}

/// Removes the triggers of one kind from a table, or those of every kind.
pub(super) async fn remove(
    pool: &PgPool,
    name: &str,
    kind: Option<&str>,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    super::lock(&mut transaction).await?;
    let on = table(name);
    let found = installed(&mut transaction, &on, kind).await?;
    drop_installed(&mut transaction, &on, &found).await?;
    // The shared functions are dropped with the last table's triggers.
    let others = format!(
        "SELECT EXISTS (SELECT FROM pg_proc WHERE starts_with(proname, '{OF_TABLE}')
            AND pronamespace = current_schema()::regnamespace)"
    );
    let others: bool = sqlx::query_scalar(AssertSqlSafe(others))
        .fetch_one(&mut *transaction)
        .await?;
    if !others {
        let drop = format!(
            "DROP FUNCTION IF EXISTS {SEGMENT}(text, regtype), {JSON}(text, regtype), {COMPOSED}(text)"
        );
        run(&mut transaction, drop).await?;
    }
    transaction.commit().await
}

/// A trigger of this library, with the function that it calls.
#[derive(sqlx::FromRow)]
struct Installed {
    name: String,
    function: String,
    source: String,
    is_enabled: bool,
}

/// Returns the triggers of one kind on a table, or those of every kind.
async fn installed(
    connection: &mut PgConnection,
    on: &str,
    kind: Option<&str>,
) -> Result<Vec<Installed>, sqlx::Error> {
    const INSTALLED: &str = "SELECT tgname::text AS name, tgfoid::regprocedure::text AS function,
                prosrc AS source, tgenabled <> 'D' AS is_enabled
           FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
          WHERE tgrelid = $1::regclass AND NOT tgisinternal AND starts_with(proname, $2)
            AND ($3::text IS NULL OR 0 < strpos(prosrc, $3))";
    sqlx::query_as(INSTALLED)
        .bind(on)
        .bind(OF_TABLE)
        .bind(kind.map(whole_kind_entry))
        .fetch_all(connection)
        .await
}

async fn drop_installed(
    connection: &mut PgConnection,
    on: &str,
    found: &[Installed],
) -> Result<(), sqlx::Error> {
    for trigger in found {
        let drop = format!("DROP TRIGGER {} ON {on}", identifier(&trigger.name));
        run(connection, drop).await?;
    }
    let functions: BTreeSet<&String> = found.iter().map(|it| &it.function).collect();
    for function in functions {
        run(connection, format!("DROP FUNCTION {function}")).await?;
    }
    Ok(())
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .map(drop)
}

fn trigger_name(kind: &KindKeys, operation: &str) -> String {
    let operation = operation.to_ascii_lowercase();
    format!("cache_journal_{}_{operation}", short(kind.kind))
}

/// A table of another program.
struct Table {
    /// Its name in SQL.
    name: String,
    oid: i64,
    primary_key: Vec<String>,
}

impl Table {
    async fn of(connection: &mut PgConnection, name: &str) -> Result<Self, sqlx::Error> {
        const ABOUT: &str = "SELECT $1::regclass::oid::bigint, array(
                SELECT attname::text FROM pg_index
                  JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
                 WHERE indrelid = $1::regclass AND indisprimary ORDER BY attnum)";
        let name = table(name);
        let about = sqlx::query_as(ABOUT).bind(&name).fetch_one(connection);
        let (oid, primary_key) = about.await?;
        Ok(Self {
            name,
            oid,
            primary_key,
        })
    }

    /// Returns the columns by which rows are compared, or `None` if rows cannot
    /// be told apart.
    fn compared(&self, columns: &[String]) -> Option<Vec<String>> {
        let compared = || self.primary_key.iter().chain(columns).cloned().collect();
        (!self.primary_key.is_empty()).then(compared)
    }
}

/// Returns true if a shared function has the source of this version.
async fn is_current(connection: &mut PgConnection, shared: &Shared) -> Result<bool, sqlx::Error> {
    let current = "SELECT EXISTS (SELECT FROM pg_proc
         WHERE pronamespace = current_schema()::regnamespace AND proname = $1 AND prosrc = $2)";
    sqlx::query_scalar(current)
        .bind(shared.name)
        .bind(&shared.source)
        .fetch_one(connection)
        .await
}

/// Returns the schema of the journal. Refuses other encodings, because only in
/// UTF-8 do characters have the numbers that the library uses.
async fn refuse_another_encoding(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    const ABOUT: &str = "SELECT current_schema()::text, current_setting('server_encoding')";
    let (schema, encoding): (String, String) = sqlx::query_as(ABOUT).fetch_one(connection).await?;
    if encoding != "UTF8" {
        return Err(sqlx::Error::Configuration(
            format!("triggers compute keys only in a database of UTF8, and this is of {encoding}")
                .into(),
        ));
    }
    Ok(schema)
}
