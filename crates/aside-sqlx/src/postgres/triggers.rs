//! Triggers on PostgreSQL: one per kind of statement, with the changed rows as
//! a table.

use std::fmt::Write as _;

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Executor as _};

use crate::triggers::{
    MAX_KEYS_PER_STATEMENT, MAX_SEGMENT_BYTES, Triggers, UNKEYED, escapes, identifier, literal,
    table,
};

/// The mark of the library's own transactions, so that their changes are not
/// recorded a second time. It ends with the transaction, so it cannot leak
/// through a connection pooler into the next one.
pub(super) const MARK: &str = "SET LOCAL aside.writer = 'on'";

/// The same without a separate round trip.
pub(super) const BEGIN: &str = "BEGIN; SET LOCAL aside.writer = 'on'";

/// Turns a value into a segment; shared by the triggers of all tables.
const SEGMENT: &str = "cache_journal_segment";

/// The collation in which two texts are equal only if their bytes are.
const BYTES: &str = "COLLATE \"C\"";

/// The number of rows whose keys are computed at installation.
const SAMPLE: usize = 100;

/// The prefix of the functions of single tables.
const OF_TABLE: &str = "cache_journal_of_";

/// The longest name that PostgreSQL does not cut.
const MAX_NAME_BYTES: usize = 63;

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
    let mut transaction = pool.begin().await?;
    super::lock(&mut transaction).await?;
    let schema = refuse_another_encoding(&mut transaction).await?;
    remove_from(&mut transaction, &triggers.table).await?;
    // PostgreSQL checks a function only when it runs, and that is in another
    // program.
    run(&mut transaction, segment_function(&schema)).await?;
    run(&mut transaction, check(triggers)).await?;
    let on = table(&triggers.table);
    let function = format!(
        "{}.{}",
        identifier(&schema),
        identifier(&function_name(&triggers.table))
    );
    run(
        &mut transaction,
        table_function(triggers, &schema, &function),
    )
    .await?;
    for (operation, changed) in OPERATIONS {
        let name = trigger_name(operation);
        let create = format!(
            "CREATE TRIGGER {name} AFTER {operation} ON {on} {changed}
             FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        );
        run(&mut transaction, create).await?;
    }
    transaction.commit().await
}

pub(super) async fn remove(pool: &PgPool, table: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    super::lock(&mut transaction).await?;
    remove_from(&mut transaction, table).await?;
    // The shared function is dropped with the last table's triggers.
    let others = format!(
        "SELECT EXISTS (SELECT FROM pg_proc WHERE starts_with(proname, '{OF_TABLE}')
            AND pronamespace = current_schema()::regnamespace)"
    );
    let others: bool = sqlx::query_scalar(AssertSqlSafe(others))
        .fetch_one(&mut *transaction)
        .await?;
    if !others {
        let drop = format!("DROP FUNCTION IF EXISTS {SEGMENT}(text, regtype)");
        run(&mut transaction, drop).await?;
    }
    transaction.commit().await
}

/// Removes the triggers of a table and the function that they call.
async fn remove_from(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let on = table(name);
    let functions = "SELECT DISTINCT tgfoid::regprocedure::text FROM pg_trigger
         WHERE tgrelid = $1::regclass AND NOT tgisinternal AND tgname = ANY ($2)";
    let names: Vec<String> = OPERATIONS
        .iter()
        .map(|(operation, _)| trigger_name(operation))
        .collect();
    let functions: Vec<String> = sqlx::query_scalar(functions)
        .bind(&on)
        .bind(&names)
        .fetch_all(&mut *connection)
        .await?;
    for name in names {
        let drop = format!("DROP TRIGGER IF EXISTS {name} ON {on}");
        run(connection, drop).await?;
    }
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

fn trigger_name(operation: &str) -> String {
    format!("cache_journal_{}", operation.to_ascii_lowercase())
}

fn function_name(table: &str) -> String {
    let mut name = format!("{OF_TABLE}{}", table.replace('.', "_"));
    while MAX_NAME_BYTES < name.len() {
        name.pop();
    }
    name
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

/// Returns the SQL of the keys of the row `r`, as a table `k`.
///
/// All comparisons are by bytes, as in the library. Under a column's collation
/// two spellings could be one key. Under a nondeterministic one PostgreSQL
/// refuses to search a text.
fn keys(triggers: &Triggers) -> String {
    let keys = triggers.keys("r", &unkeyed(), BYTES, |value| {
        format!("{SEGMENT}(({value})::text {BYTES}, pg_typeof({value}))")
    });
    format!("(VALUES ({})) AS k (key)", keys.join("), ("))
}

/// Returns SQL that computes the keys of some rows, and of one all-NULL row.
fn check(triggers: &Triggers) -> String {
    let on = table(&triggers.table);
    format!(
        "SELECT count(k.key)
           FROM ((SELECT * FROM {on} LIMIT {SAMPLE}) UNION ALL SELECT (NULL::{on}).*) AS r
          CROSS JOIN LATERAL {}",
        keys(triggers)
    )
}

/// Returns the SQL that replaces a segment which cannot be computed.
fn unkeyed() -> String {
    escaped(UNKEYED)
}

/// Returns a character as a readable literal.
fn escaped(character: char) -> String {
    format!("E'\\u{:04x}'", u32::from(character))
}

/// Returns the function that computes segments. It accepts only types whose
/// text equals the serialized value. Numbers with a fraction, times and
/// documents have a text that is specific to PostgreSQL.
fn segment_function(schema: &str) -> String {
    let escapes = escapes();
    let (mut escape, mut special) = ("plain".to_owned(), String::new());
    for (plain, written) in escapes {
        let (plain, written) = (escaped(plain), literal(&written));
        escape = format!("replace({escape}, {plain}, {written})");
        let _ = write!(special, " || {plain}");
    }
    format!(
        "CREATE OR REPLACE FUNCTION {schema}.{SEGMENT}(value text, type regtype) RETURNS text
         LANGUAGE plpgsql STABLE SET search_path = {schema}, pg_temp AS $cache_journal$
         DECLARE
             plain text {BYTES} := value;
             class \"char\";
             base regtype;
             name text;
         BEGIN
             IF plain IS NULL THEN
                 RETURN NULL;
             END IF;
             IF type <> ALL ('{{text, varchar, int2, int4, int8, uuid, bool}}'::regtype[]) THEN
                 SELECT typtype, typbasetype, typname INTO class, base, name
                   FROM pg_type WHERE oid = type;
                 IF class = 'd' THEN
                     RETURN {SEGMENT}(plain, base);
                 ELSIF class <> 'e' AND name <> 'citext' THEN
                     RETURN {unkeyed};
                 END IF;
             END IF;
             IF translate(plain, ''{special}, '') <> plain THEN
                 plain := {escape};
             END IF;
             IF {MAX_SEGMENT_BYTES} < octet_length(plain) THEN
                 RETURN '#' || encode(sha256(convert_to(plain, 'UTF8')), 'hex');
             END IF;
             RETURN plain;
         END $cache_journal$;",
        schema = identifier(schema),
        unkeyed = unkeyed(),
    )
}

/// Returns the function of one table. It runs with the rights of the installing
/// role, so another program needs no right to write the journal.
///
/// If keys cannot be computed, it records the whole kind and does not refuse the
/// statement of that program. If the journal was dropped, it raises a warning.
/// Errors of the INSERT are not caught, because that takes a subtransaction. A
/// program that runs thousands of statements in one transaction would have as
/// many of them.
fn table_function(triggers: &Triggers, schema: &str, function: &str) -> String {
    let (keys, whole_kind) = (keys(triggers), triggers.whole_kind_entry());
    let of = |rows: &str| {
        format!(
            "SELECT array_agg(DISTINCT k.key {BYTES}) INTO keys
               FROM ({rows}) AS r CROSS JOIN LATERAL {keys}
              WHERE k.key IS NOT NULL"
        )
    };
    format!(
        "CREATE FUNCTION {function}() RETURNS trigger
         LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $cache_journal$
         DECLARE
             keys text[];
             whole boolean := TG_OP = 'TRUNCATE';
         BEGIN
             IF current_setting('aside.writer', true) = 'on' THEN
                 RETURN NULL;
             END IF;
             IF to_regclass('cache_journal') IS NULL THEN
                 RAISE WARNING 'cache_journal is missing; caches are not notified of this change';
                 RETURN NULL;
             END IF;
             -- Checked before the keys of a million rows are computed.
             IF TG_OP IN ('UPDATE', 'DELETE') THEN
                 whole := EXISTS (SELECT FROM aside_before OFFSET {MAX_KEYS_PER_STATEMENT});
             ELSIF TG_OP = 'INSERT' THEN
                 whole := EXISTS (SELECT FROM aside_after OFFSET {MAX_KEYS_PER_STATEMENT});
             END IF;
             BEGIN
                 IF whole THEN
                 ELSIF TG_OP = 'INSERT' THEN
                     {inserted};
                 ELSIF TG_OP = 'DELETE' THEN
                     {deleted};
                 ELSE
                     {updated};
                 END IF;
             EXCEPTION WHEN OTHERS THEN
                 RAISE WARNING 'the whole kind is recorded, because its keys failed: %', SQLERRM;
                 whole := true;
             END;
             IF whole OR {MAX_KEYS_PER_STATEMENT} < cardinality(keys)
                OR 0 < strpos(array_to_string(keys, ''), {unkeyed}) THEN
                 keys := ARRAY[{whole_kind}];
             END IF;
             INSERT INTO cache_journal (key) SELECT unnest(keys);
             RETURN NULL;
         END $cache_journal$",
        schema = identifier(schema),
        inserted = of("SELECT * FROM aside_after"),
        deleted = of("SELECT * FROM aside_before"),
        updated = of("SELECT * FROM aside_before UNION ALL SELECT * FROM aside_after"),
        unkeyed = unkeyed(),
    )
}
