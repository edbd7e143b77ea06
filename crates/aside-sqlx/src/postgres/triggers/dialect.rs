//! The SQL of keys on PostgreSQL, and the functions that it calls.

use std::fmt::Write as _;

use crate::triggers::{
    Dialect, MAX_SEGMENT_BYTES, Part, ROW, UNKEYED, Value, escapes, identifier, literal,
};

/// Turns a value into a segment; shared by the triggers of all tables.
pub(super) const SEGMENT: &str = "cache_journal_segment";

/// Turns a value into its JSON text.
pub(super) const JSON: &str = "cache_journal_json";

/// Turns a JSON text into a segment.
pub(super) const COMPOSED: &str = "cache_journal_composed";

/// All comparisons are by bytes, as in the library. Under a column's collation
/// two spellings could be one key. Under a nondeterministic one PostgreSQL
/// refuses to search a text.
pub(super) const BYTES: &str = "COLLATE \"C\"";

pub(super) struct Postgres;

impl Dialect for Postgres {
    const BYTES: &'static str = BYTES;

    fn value(&self, row: &str, value: &Value) -> String {
        match value {
            Value::Column(name) => format!("{row}.{}", identifier(name)),
            Value::Sql(sql) => sql.replace(ROW, row),
        }
    }

    fn segment(&self, value: &str) -> String {
        call(SEGMENT, value)
    }

    fn folded_segment(&self, value: &str) -> String {
        let text = format!("(({value})::text {BYTES})");
        format!(
            "CASE WHEN {value} IS NULL THEN NULL
                  WHEN octet_length({text}) <> char_length({text}) THEN {}
                  ELSE {SEGMENT}(lower({text}), pg_typeof({value})) END",
            escaped(UNKEYED)
        )
    }

    fn composed(&self, row: &str, parts: &[Part]) -> String {
        let sql = |part: &Part| match part {
            Part::Json(json) => literal(json),
            Part::Value(value) => call(JSON, &self.value(row, value)),
        };
        let json: Vec<String> = parts.iter().map(sql).collect();
        format!("{COMPOSED}({})", json.join(" || "))
    }

    fn unkeyed(&self) -> String {
        escaped(UNKEYED)
    }
}

fn call(function: &str, value: &str) -> String {
    format!("{function}(({value})::text {BYTES}, pg_typeof({value}))")
}

/// Returns a character as a readable literal.
fn escaped(character: char) -> String {
    format!("E'\\u{:04x}'", u32::from(character))
}

/// A function that the triggers of all tables call.
pub(super) struct Shared {
    pub(super) name: &'static str,
    pub(super) arguments: &'static str,
    /// The text between the quotes, as the database stores it.
    pub(super) source: String,
}

impl Shared {
    pub(super) fn all() -> [Self; 3] {
        [
            Self {
                name: SEGMENT,
                arguments: "value text, type regtype",
                source: segment_source(),
            },
            Self {
                name: JSON,
                arguments: "value text, type regtype",
                source: json_source(),
            },
            Self {
                name: COMPOSED,
                arguments: "json text",
                source: composed_source(),
            },
        ]
    }

    pub(super) fn create(&self, schema: &str) -> String {
        let schema = identifier(schema);
        format!(
            "CREATE OR REPLACE FUNCTION {schema}.{}({}) RETURNS text
             LANGUAGE plpgsql STABLE SET search_path = {schema}, pg_temp
             AS $cache_journal${}$cache_journal$",
            self.name, self.arguments, self.source
        )
    }
}

/// Returns the statements that calculate the base type of a domain by calling
/// `function` again. They accept only types whose text equals the serialized
/// value. Numbers with a fraction, times and documents have a text that is
/// specific to PostgreSQL.
fn accept_other_types(function: &str) -> String {
    format!(
        "SELECT typtype, typbasetype, typname INTO class, base, name
           FROM pg_type WHERE oid = type;
         IF class = 'd' THEN
             RETURN {function}(value, base);
         ELSIF class <> 'e' AND name <> 'citext' THEN
             RETURN {};
         END IF;",
        escaped(UNKEYED)
    )
}

/// Returns the statements that escape `plain`, and those that return it or its
/// digest.
fn escape_and_return(mark: &str) -> String {
    let (mut escape, mut special) = ("plain".to_owned(), String::new());
    for (plain, written) in escapes() {
        let (plain, written) = (escaped(plain), literal(&written));
        escape = format!("replace({escape}, {plain}, {written})");
        let _ = write!(special, " || {plain}");
    }
    format!(
        "IF translate(plain, ''{special}, '') <> plain THEN
             plain := {escape};
         END IF;
         plain := '{mark}' || plain;
         IF {MAX_SEGMENT_BYTES} < octet_length(plain) THEN
             RETURN '#' || encode(sha256(convert_to(plain, 'UTF8')), 'hex');
         END IF;
         RETURN plain;"
    )
}

fn segment_source() -> String {
    format!(
        "
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
                 {others}
             END IF;
             {finish}
         END ",
        others = accept_other_types(SEGMENT),
        finish = escape_and_return(""),
    )
}

fn json_source() -> String {
    format!(
        "
         DECLARE
             class \"char\";
             base regtype;
             name text;
         BEGIN
             IF value IS NULL THEN
                 RETURN 'null';
             ELSIF type = ANY ('{{int2, int4, int8, bool}}'::regtype[]) THEN
                 RETURN value;
             ELSIF type <> ALL ('{{text, varchar, uuid}}'::regtype[]) THEN
                 {others}
             END IF;
             RETURN to_json(value)::text;
         END ",
        others = accept_other_types(JSON),
    )
}

fn composed_source() -> String {
    format!(
        "
         DECLARE
             plain text {BYTES} := json;
         BEGIN
             IF 0 < strpos(plain, {unkeyed}) THEN
                 RETURN {unkeyed};
             END IF;
             {finish}
         END ",
        unkeyed = escaped(UNKEYED),
        finish = escape_and_return("^"),
    )
}
