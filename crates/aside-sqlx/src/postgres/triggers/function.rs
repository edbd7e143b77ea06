//! The function that the triggers of one kind on one table call.

use super::dialect::{BYTES, Postgres};
use crate::triggers::{
    Dialect as _, KindKeys, MAX_KEYS_PER_STATEMENT, Value, identifier, whole_kind_entry,
};

/// The number of rows whose keys are computed at installation.
const SAMPLE: usize = 100;

/// Returns the SQL of the keys of the row `r`, as a table `k`.
fn keys(kind: &KindKeys) -> String {
    let keys = kind.sql("r", &Postgres);
    format!("(VALUES ({})) AS k (key)", keys.join("), ("))
}

/// Returns the SQL of a text that is different for two rows if they differ in
/// a key or in a compared column.
fn compared(kind: &KindKeys, columns: &[String], row: &str) -> String {
    let columns = columns.iter().cloned().map(Value::Column);
    let mut values: Vec<String> = columns.map(|it| Postgres.value(row, &it)).collect();
    values.extend(kind.values(row, &Postgres));
    format!("ROW({})::text {BYTES}", values.join(", "))
}

/// Returns SQL that computes the keys of some rows, and of one all-NULL row.
pub(super) fn check(kind: &KindKeys, on: &str, columns: &[String]) -> String {
    format!(
        "SELECT count(k.key), count({compared})
           FROM ((SELECT * FROM {on} LIMIT {SAMPLE}) UNION ALL SELECT (NULL::{on}).*) AS r
          CROSS JOIN LATERAL {keys}",
        compared = compared(kind, columns, "r"),
        keys = keys(kind),
    )
}

/// Returns the SQL of the rows that an UPDATE changed, as they were and as they
/// are. If columns are given, which include the primary key, rows are omitted
/// that are equal in them.
///
/// A transition table has no order and no row numbers, so the texts of the rows
/// are compared as multisets.
fn updated(kind: &KindKeys, columns: Option<&[String]>) -> String {
    let Some(columns) = columns else {
        return "SELECT * FROM aside_before UNION ALL SELECT * FROM aside_after".to_owned();
    };
    let differing = |these: &str, others: &str| {
        format!(
            "SELECT r.* FROM {these} AS r WHERE {of_row} IN (
                 SELECT {of_these} FROM {these} AS t EXCEPT ALL SELECT {of_others} FROM {others} AS o)",
            of_row = compared(kind, columns, "r"),
            of_these = compared(kind, columns, "t"),
            of_others = compared(kind, columns, "o"),
        )
    };
    format!(
        "{} UNION ALL {}",
        differing("aside_before", "aside_after"),
        differing("aside_after", "aside_before")
    )
}

/// Returns the source of the function. It runs with the rights of the installing
/// role, so another program needs no right to write the journal.
///
/// If keys cannot be computed, it records the whole kind and does not refuse the
/// statement of that program. If the journal was dropped, it raises a warning.
/// Errors of the INSERT are not caught, because that takes a subtransaction. A
/// program that runs thousands of statements in one transaction would have as
/// many of them.
pub(super) fn source(kind: &KindKeys, columns: Option<&[String]>) -> String {
    let (keys, whole_kind) = (keys(kind), whole_kind_entry(kind.kind));
    let of = |rows: &str| {
        format!(
            "SELECT array_agg(DISTINCT k.key {BYTES}) INTO keys
               FROM ({rows}) AS r CROSS JOIN LATERAL {keys}
              WHERE k.key IS NOT NULL"
        )
    };
    format!(
        "
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
         END ",
        inserted = of("SELECT * FROM aside_after"),
        deleted = of("SELECT * FROM aside_before"),
        updated = of(&updated(kind, columns)),
        unkeyed = Postgres.unkeyed(),
    )
}

/// Returns the statement that creates the function.
///
/// With all digits, because two numbers with a fraction may otherwise have one
/// text.
pub(super) fn create(schema: &str, function: &str, source: &str) -> String {
    format!(
        "CREATE FUNCTION {function}() RETURNS trigger
         LANGUAGE plpgsql SECURITY DEFINER
         SET search_path = {schema}, pg_temp SET extra_float_digits = 3
         AS $cache_journal${source}$cache_journal$",
        schema = identifier(schema),
    )
}
