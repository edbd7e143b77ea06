//! Triggers on SQLite, one per row, because SQLite has no others.
//!
//! They use nothing that another program's SQLite may lack. They call no
//! functions of the library, and no expression is so deep that an older parser
//! refuses the schema. So control characters and values of more than 200 bytes
//! record the whole kind, because SQLite cannot compute a digest.

use std::collections::BTreeSet;

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, Executor as _};

use crate::triggers::{
    MAX_KEYS_PER_STATEMENT, MAX_SEGMENT_BYTES, Triggers, escapes, identifier, literal, table,
};

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

/// The number of rows whose keys are computed at installation.
const SAMPLE: usize = 100;

/// An index for the triggers, which search for keys.
const INDEX: &str = "cache_journal_keys";

/// The events of the triggers, and their rows.
const EVENTS: [(&str, &str, &[&str]); 3] = [
    ("inserted", "AFTER INSERT", &["NEW"]),
    ("updated", "AFTER UPDATE", &["OLD", "NEW"]),
    ("deleted", "AFTER DELETE", &["OLD"]),
];

/// REPLACE deletes conflicting rows without firing a trigger for them.
const REPLACING: [(&str, &str); 2] = [
    ("replaced", "BEFORE INSERT"),
    ("replaced_by_update", "BEFORE UPDATE"),
];

pub(super) async fn install(pool: &SqlitePool, triggers: &Triggers) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    remove_from(&mut transaction, &triggers.table).await?;
    let triggers = with_booleans(&mut transaction, triggers).await?;
    let on = table(&triggers.table);
    // SQLite checks a trigger only when it fires, and that is in another
    // program.
    let keys = keys(&triggers, "r").join(", ");
    let check = format!("SELECT {keys} FROM {on} AS r LIMIT {SAMPLE}");
    run(&mut transaction, check).await?;
    let index = format!("CREATE INDEX IF NOT EXISTS {INDEX} ON cache_journal (key)");
    run(&mut transaction, index).await?;
    for (suffix, event, rows) in EVENTS {
        let keys: Vec<String> = rows
            .iter()
            .flat_map(|row| keys_of(&triggers, row))
            .collect();
        let create = trigger(&triggers, suffix, event, &keys);
        run(&mut transaction, create).await?;
    }
    let unique = unique_columns(&mut transaction, &triggers.table).await?;
    if !unique.is_empty() {
        let in_the_way: Vec<String> = unique.iter().map(|columns| same(columns)).collect();
        let in_the_way = in_the_way.join(" OR ");
        for (suffix, event) in REPLACING {
            let keys: Vec<String> = self::keys(&triggers, "r")
                .iter()
                .map(|key| format!("SELECT {key} AS key FROM {on} AS r WHERE {in_the_way}"))
                .collect();
            let create = trigger(&triggers, suffix, event, &keys);
            run(&mut transaction, create).await?;
        }
    }
    transaction.commit().await
}

pub(super) async fn remove(pool: &SqlitePool, table: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    remove_from(&mut transaction, table).await?;
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

async fn remove_from(connection: &mut SqliteConnection, table: &str) -> Result<(), sqlx::Error> {
    let events = EVENTS.iter().map(|(suffix, ..)| *suffix);
    for suffix in events.chain(REPLACING.iter().map(|(suffix, _)| *suffix)) {
        let drop = format!("DROP TRIGGER IF EXISTS {}", name(table, suffix));
        run(connection, drop).await?;
    }
    Ok(())
}

async fn run(connection: &mut SqliteConnection, sql: String) -> Result<(), sqlx::Error> {
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
        .await
        .map(drop)
}

fn name(table: &str, suffix: &str) -> String {
    identifier(&format!("cache_journal_{table}_{suffix}"))
}

/// A `bool` is 0 or 1 in SQLite, and `true` or `false` in a key.
async fn with_booleans(
    connection: &mut SqliteConnection,
    triggers: &Triggers,
) -> Result<Triggers, sqlx::Error> {
    // The other pragma omits generated columns.
    let booleans = "SELECT name FROM pragma_table_xinfo($1) WHERE type LIKE 'bool%'";
    let booleans: BTreeSet<String> = sqlx::query_scalar::<_, String>(booleans)
        .bind(&triggers.table)
        .fetch_all(connection)
        .await?
        .into_iter()
        .collect();
    let mut with_booleans = triggers.clone();
    for (field, column) in triggers.columns().filter(|it| booleans.contains(it.1)) {
        let column = identifier(column);
        let sql = format!(
            "CASE {{row}}.{column} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE {{row}}.{column} END"
        );
        with_booleans = with_booleans.expression(field, &sql);
    }
    Ok(with_booleans)
}

/// Returns the columns of every unique constraint, and the collations by which
/// two rows conflict.
async fn unique_columns(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<Vec<Vec<(String, String)>>, sqlx::Error> {
    // A primary key without an index is that of the rowid.
    let key = "SELECT name, 'BINARY' FROM pragma_table_info($1) WHERE 0 < pk
               AND NOT EXISTS (SELECT 1 FROM pragma_index_list($1) WHERE origin = 'pk')";
    let key: Vec<(String, String)> = sqlx::query_as(key)
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
        let columns: Vec<(String, String)> = sqlx::query_as(columns)
            .bind(index)
            .fetch_all(&mut *connection)
            .await?;
        unique.insert(columns);
    }
    unique.remove(&Vec::new());
    Ok(unique.into_iter().collect())
}

/// Returns the condition under which the row `r` conflicts with the new one.
fn same(columns: &[(String, String)]) -> String {
    let same: Vec<String> = columns
        .iter()
        .map(|(column, collation)| (identifier(column), identifier(collation)))
        .map(|(column, collation)| format!("r.{column} = NEW.{column} COLLATE {collation}"))
        .collect();
    format!("({})", same.join(" AND "))
}

fn keys(triggers: &Triggers, row: &str) -> Vec<String> {
    triggers.keys(row, UNKEYED, BYTES, segment)
}

fn keys_of(triggers: &Triggers, row: &str) -> Vec<String> {
    let keys = keys(triggers, row).into_iter();
    keys.map(|key| format!("SELECT {key} AS key")).collect()
}

/// The collation in which two texts are equal only if their bytes are. Without
/// it a column is compared by its own collation, even after a CAST.
const BYTES: &str = "COLLATE BINARY";

/// The SQL that replaces a segment which cannot be computed.
const UNKEYED: &str = "char(1)";

/// Returns the SQL of a segment.
fn segment(value: &str) -> String {
    // The expression is twelve levels deep. One level per control character
    // would exceed SQLite's parser before 3.46. A schema that it cannot parse
    // makes the whole database unusable for a program.
    let mut escaped = value.to_owned();
    let visible = escapes().into_iter().filter(|(it, _)| !it.is_control());
    for (plain, written) in visible {
        let (plain, written) = (literal(&plain.to_string()), literal(&written));
        escaped = format!("replace({escaped}, {plain}, {written})");
    }
    format!(
        "CASE WHEN {value} IS NULL THEN NULL
              WHEN typeof({value}) NOT IN ('text', 'integer')
                OR 0 < instr({value}, char(0))
                OR {value} GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'
                OR {MAX_SEGMENT_BYTES} < length(CAST({escaped} AS BLOB)) THEN {UNKEYED}
              ELSE {escaped} END"
    )
}

/// Returns a trigger that records keys, given as SELECTs.
///
/// A key that is already in the journal gets a new row, because a process may
/// be about to delete the old one. If there are many keys, the row of the kind
/// replaces them. Row triggers cannot save more rows, because each row of a
/// statement fires separately.
fn trigger(triggers: &Triggers, suffix: &str, event: &str, keys: &[String]) -> String {
    let keys = keys.join(" UNION ");
    let whole_kind = triggers.whole_kind_entry();
    let keys = format!(
        "SELECT CASE WHEN instr(key, {UNKEYED}) THEN {whole_kind} ELSE key END
           FROM ({keys}) WHERE key IS NOT NULL"
    );
    // ';' is the character after ':'.
    let of_kind = format!(
        "{} <= key AND key < {}",
        literal(&format!("{}:", triggers.prefix)),
        literal(&format!("{};", triggers.prefix)),
    );
    let forgotten = format!("EXISTS (SELECT 1 FROM cache_journal WHERE key = {whole_kind})");
    format!(
        "CREATE TRIGGER {name} {event} ON {on}
         WHEN NOT EXISTS (SELECT 1 FROM cache_journal_writer)
         BEGIN
             DELETE FROM cache_journal WHERE key IN ({keys});
             INSERT INTO cache_journal (key) {keys};
             INSERT INTO cache_journal (key) SELECT {whole_kind}
              WHERE {forgotten} OR {MAX_KEYS_PER_STATEMENT} < (
                  SELECT count(*) FROM (SELECT 1 FROM cache_journal WHERE {of_kind}
                                         LIMIT {MAX_KEYS_PER_STATEMENT} + 1));
             DELETE FROM cache_journal WHERE {of_kind} AND {forgotten};
             DELETE FROM cache_journal WHERE key = {whole_kind}
                AND id < (SELECT max(id) FROM cache_journal WHERE key = {whole_kind});
         END",
        name = name(&triggers.table, suffix),
        on = table(&triggers.table),
    )
}
