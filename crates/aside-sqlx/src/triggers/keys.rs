//! The keys of one kind that a change of a table's row invalidates, as SQL.

use super::columns::{Id, Part, Value};
use super::quote::literal;
use super::quote::written;

/// Written in place of a segment that the triggers cannot compute. Escaping
/// never produces it.
pub(crate) const UNKEYED: char = '\u{1}';

/// The SQL of a database for the parts of a key.
pub(crate) trait Dialect {
    /// The collation in which two texts are equal only if their bytes are.
    const BYTES: &'static str;

    /// Returns the SQL of a value of the row called `row`.
    fn value(&self, row: &str, value: &Value) -> String;

    /// Returns the SQL of the segment of a value.
    fn segment(&self, value: &str) -> String;

    /// Returns the SQL of the segment of a text in lower case. Databases and the library
    /// agree on the letters of ASCII alone, so any other text is [`UNKEYED`].
    fn folded_segment(&self, value: &str) -> String;

    /// Returns the SQL of the segment of several values of the row called `row`.
    fn composed(&self, row: &str, parts: &[Part]) -> String;

    /// Returns the SQL of [`UNKEYED`].
    fn unkeyed(&self) -> String;
}

/// The keys of one kind.
#[derive(Clone, Debug)]
pub(crate) struct KindKeys {
    pub(crate) kind: &'static str,
    /// The prefix of all keys of the kind, without the last colon.
    pub(crate) prefix: String,
    /// True if the list of all rows changes with a row.
    pub(crate) list_all: bool,
    /// True if each change records the whole kind.
    pub(crate) is_whole: bool,
    pub(crate) rows: Vec<RowKey>,
    pub(crate) lists: Vec<ListKey>,
}

/// The key of the row with an id.
#[derive(Clone, Debug)]
pub(crate) struct RowKey {
    pub(crate) id: Id,
    /// True if the table has the rows of this kind.
    pub(crate) is_own: bool,
}

/// The key of the list with an index value.
#[derive(Clone, Debug)]
pub(crate) struct ListKey {
    pub(crate) segment: &'static str,
    /// Its values have several spellings.
    pub(crate) is_folded: bool,
    /// Each field of the index, with its value.
    pub(crate) values: Vec<(&'static str, Value)>,
    /// True if the table has the rows of this kind.
    pub(crate) is_own: bool,
}

/// Returns the journal entry of a whole kind, as an SQL literal.
pub(crate) fn whole_kind_entry(kind: &str) -> String {
    literal(&format!("all of {kind}"))
}

impl KindKeys {
    /// Returns the SQL of every key of the row called `row`.
    pub(crate) fn sql(&self, row: &str, dialect: &impl Dialect) -> Vec<String> {
        if self.is_whole {
            return vec![dialect.unkeyed()];
        }
        let rows = self.rows.iter();
        let mut keys: Vec<String> = rows.map(|key| self.of_row(key, row, dialect)).collect();
        if self.list_all {
            keys.push(literal(&format!("{}:all", self.prefix)));
        }
        for list in &self.lists {
            let mut key = literal(&format!("{}:{}", self.prefix, list.segment));
            for (_, value) in &list.values {
                let value = dialect.value(row, value);
                let segment = match list.is_folded {
                    true => dialect.folded_segment(&value),
                    false => dialect.segment(&value),
                };
                key = format!("{key} || ':' || {segment}");
            }
            keys.push(key);
        }
        keys
    }

    /// Returns the SQL of all values that keys are computed from.
    pub(crate) fn values(&self, row: &str, dialect: &impl Dialect) -> Vec<String> {
        if self.is_whole {
            return Vec::new();
        }
        let of_rows = self.rows.iter().flat_map(|key| key.id.values());
        let of_lists = self.lists.iter().flat_map(|list| &list.values);
        let values = of_rows.chain(of_lists.map(|(_, value)| value));
        values.map(|value| dialect.value(row, value)).collect()
    }

    fn of_row<D: Dialect>(&self, key: &RowKey, row: &str, dialect: &D) -> String {
        let prefix = literal(&format!("{}:", self.prefix));
        let value = match &key.id {
            Id::Composed(parts) => return format!("{prefix} || {}", dialect.composed(row, parts)),
            Id::One(value) => dialect.value(row, value),
        };
        let (segment, unkeyed) = (dialect.segment(&value), dialect.unkeyed());
        // A row without an id has other keys than SQL can know. A reference that is
        // NULL refers to no row.
        let of_null = if key.is_own { &*unkeyed } else { "NULL" };
        // `{kind}:all` is the list of all, so the id `all` is escaped.
        format!(
            "{prefix} || CASE WHEN CAST({value} AS TEXT) {} = 'all'
                  THEN CASE {segment} WHEN 'all' THEN {} ELSE {unkeyed} END
                  ELSE coalesce({segment}, {of_null}) END",
            D::BYTES,
            literal(&written("all")),
        )
    }
}
