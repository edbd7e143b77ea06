//! The SQL of keys on SQLite.
//!
//! It uses nothing that another program's SQLite may lack. It calls no
//! functions of the library, and no expression is so deep that an older parser
//! refuses the schema. So control characters and values of more than 200 bytes
//! record the whole kind, because SQLite cannot compute a digest.

use std::collections::BTreeSet;

use crate::triggers::{
    Dialect, MAX_SEGMENT_BYTES, Part, ROW, Value, escapes, identifier, literal, written,
};

/// The SQL that replaces a segment which cannot be computed.
pub(super) const UNKEYED: &str = "char(1)";

/// The collation in which two texts are equal only if their bytes are. Without
/// it a column is compared by its own collation, even after a CAST.
pub(super) const BYTES: &str = "COLLATE BINARY";

/// SQLite has no booleans: a column declared as one holds 0 and 1, and a key has
/// `false` and `true`.
pub(super) struct Sqlite {
    /// The columns declared as booleans, in lower case.
    pub(super) booleans: BTreeSet<String>,
}

impl Sqlite {
    fn is_boolean(&self, value: &Value) -> bool {
        matches!(value, Value::Column(name) if self.booleans.contains(&name.to_lowercase()))
    }

    /// Returns the SQL of the JSON text of a value, escaped as in a key.
    fn json(&self, row: &str, value: &Value) -> String {
        let sql = self.value(row, value);
        if self.is_boolean(value) {
            return format!(
                "CASE {sql} WHEN 'false' THEN 'false' WHEN 'true' THEN 'true'
                 ELSE CASE WHEN {sql} IS NULL THEN 'null' ELSE {UNKEYED} END END"
            );
        }
        // JSON escapes quotes and backslashes, and the key the backslashes of that.
        let backslash = written("\\");
        let in_json = |plain: char, written: String| match plain {
            '\\' => format!("{backslash}{backslash}"),
            _ => written,
        };
        let escaped = replaced(&sql, in_json);
        let (quote, written) = (literal("\""), literal(&format!("{backslash}\"")));
        format!(
            "CASE WHEN {sql} IS NULL THEN 'null'
                  WHEN typeof({sql}) = 'integer' THEN CAST({sql} AS TEXT)
                  WHEN typeof({sql}) <> 'text' OR {} THEN {UNKEYED}
                  ELSE {quote} || replace({escaped}, {quote}, {written}) || {quote} END",
            has_control_characters(&sql)
        )
    }
}

impl Dialect for Sqlite {
    const BYTES: &'static str = BYTES;

    fn value(&self, row: &str, value: &Value) -> String {
        match value {
            Value::Sql(sql) => format!("({})", sql.replace(ROW, row)),
            Value::Column(name) => {
                let column = format!("{row}.{}", identifier(name));
                if !self.is_boolean(value) {
                    return column;
                }
                format!("CASE {column} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE {column} END")
            }
        }
    }

    fn segment(&self, value: &str) -> String {
        // The expression is twelve levels deep. One level per control character
        // would exceed SQLite's parser before 3.46. A schema that it cannot parse
        // makes the whole database unusable for a program.
        let escaped = replaced(value, |_, written| written);
        format!(
            "CASE WHEN {value} IS NULL THEN NULL
                  WHEN typeof({value}) NOT IN ('text', 'integer')
                    OR {}
                    OR {MAX_SEGMENT_BYTES} < length(CAST({escaped} AS BLOB)) THEN {UNKEYED}
                  ELSE {escaped} END",
            has_control_characters(value)
        )
    }

    fn folded_segment(&self, value: &str) -> String {
        format!(
            "CASE WHEN {value} IS NULL THEN NULL
                  WHEN typeof({value}) <> 'text'
                    OR {value} GLOB '*[^' || char(1) || '-' || char(127) || ']*' THEN {UNKEYED}
                  ELSE {} END",
            self.segment(&format!("lower({value})"))
        )
    }

    fn composed(&self, row: &str, parts: &[Part]) -> String {
        let sql = |part: &Part| match part {
            Part::Json(json) => literal(&written(json)),
            Part::Value(value) => self.json(row, value),
        };
        let parts: Vec<String> = parts.iter().map(sql).collect();
        format!(
            "(SELECT CASE WHEN {MAX_SEGMENT_BYTES} < length(CAST(segment AS BLOB)) THEN {UNKEYED}
                          ELSE segment END FROM (SELECT '^' || {} AS segment))",
            parts.join(" || ")
        )
    }

    fn unkeyed(&self) -> String {
        UNKEYED.to_owned()
    }
}

/// Returns the SQL of a value in which the visible special characters are
/// replaced by their escapes.
fn replaced(value: &str, escape: impl Fn(char, String) -> String) -> String {
    let visible = escapes().into_iter().filter(|(it, _)| !it.is_control());
    visible.fold(value.to_owned(), |sql, (plain, written)| {
        let written = literal(&escape(plain, written));
        format!("replace({sql}, {}, {written})", literal(&plain.to_string()))
    })
}

fn has_control_characters(value: &str) -> String {
    format!(
        "0 < instr({value}, char(0))
         OR {value} GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'"
    )
}
