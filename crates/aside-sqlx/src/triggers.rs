//! Triggers: the database itself records the writes of other programs.
//!
//! The triggers compute keys in SQL. The refused alternative stores the changed
//! values and lets the poller compute the keys. With keys, `cache_journal`
//! keeps its format. A process of an older version, or one that does not cache
//! this kind, handles such a row like any other. It would have deleted a row of
//! values without understanding it. If SQL cannot compute a key, the row of the
//! whole kind is recorded.

use std::collections::BTreeMap;

use aside::{
    Entity,
    entity::{IndexShape, KeyWriter},
};

/// The maximum number of rows per statement, and of keys per kind. Above it,
/// the triggers record the whole kind instead.
pub(crate) const MAX_KEYS_PER_STATEMENT: usize = 1_000;

/// A segment longer than this many bytes is replaced by its digest.
pub(crate) const MAX_SEGMENT_BYTES: usize = 200;

/// Written in place of a segment that the triggers cannot compute. Escaping
/// never produces it.
pub(crate) const UNKEYED: char = '\u{1}';

/// The placeholder of the row in the SQL of a value.
const ROW: &str = "{row}";

/// Describes the table of a kind, for triggers that record the changes of
/// *other programs*: the keys of the row before and of the row after.
///
/// [`SqliteJournal::install_triggers`](crate::SqliteJournal::install_triggers)
/// and [`PostgresJournal::install_triggers`](crate::PostgresJournal::install_triggers)
/// list the writes that they miss.
///
/// The triggers compute keys from columns. The text of the id and of an indexed
/// column must equal the serialized field. Use [`column`](Self::column) if a
/// column's name differs from its field's. Use [`expression`](Self::expression)
/// if its contents differ. The whole kind is recorded for values without such a
/// text, such as times and documents, and whenever a key cannot be computed.
/// Values are compared by their bytes, independent of their column's collation.
/// PostgreSQL pads `CHAR(n)`, so such a column records the whole kind.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, aside::Entity)]
/// # #[entity(kind = "hero")]
/// # struct Hero {
/// #     #[entity(id)]
/// #     id: i64,
/// #     #[entity(index)]
/// #     name: String,
/// #     #[entity(index = "lang")]
/// #     language: String,
/// # }
/// use aside_sqlx::Triggers;
///
/// let triggers = Triggers::of::<Hero>("heroes", "prod")
///     .id("hero_id")
///     .column("language", "lang")
///     .expression("name", "trim({row}.name)");
/// ```
#[derive(Clone, Debug)]
pub struct Triggers {
    pub(crate) table: String,
    pub(crate) kind: &'static str,
    /// The prefix of all keys of the kind, without the last colon.
    pub(crate) prefix: String,
    list_all: bool,
    /// The SQL of the id, or `None` if only the whole kind is recorded.
    id: Option<String>,
    indexes: &'static [IndexShape],
    /// The column names by field, if they differ from the field's.
    columns: BTreeMap<&'static str, String>,
    /// The SQL by field, if it is not just a column.
    expressions: BTreeMap<&'static str, String>,
}

impl Triggers {
    /// Describes the triggers of `table`, which may be `schema.table`. Its rows
    /// are cached as `E` under `namespace`, the `CACHE_NAMESPACE` of the
    /// services. By default the id is the column `id`, and each indexed field
    /// is the column of its name.
    #[must_use]
    pub fn of<E: Entity>(table: &str, namespace: &str) -> Self {
        Self {
            table: table.to_owned(),
            kind: E::KIND,
            prefix: KeyWriter::new(namespace, E::KIND).as_str().to_owned(),
            list_all: E::LIST_ALL,
            id: Some(column("id")),
            indexes: E::INDEXES,
            columns: BTreeMap::new(),
            expressions: BTreeMap::new(),
        }
    }

    /// Sets the column of the id.
    #[must_use]
    pub fn id(mut self, name: &str) -> Self {
        self.id = Some(column(name));
        self
    }

    /// Sets the column of an indexed field.
    ///
    /// # Panics
    /// If no index of the entity has the field.
    #[must_use]
    pub fn column(mut self, field: &str, name: &str) -> Self {
        self.columns.insert(self.known(field), name.to_owned());
        self
    }

    /// Sets the SQL of an indexed field, in which `{row}` stands for the row.
    /// NULL stands for `None`. Two examples: `trim({row}.name)`, and on SQLite
    /// `CASE {row}.active WHEN 1 THEN 'true' ELSE 'false' END` for a `bool`
    /// whose column is not declared as BOOLEAN. Functions that are not built in
    /// need the name of their schema.
    ///
    /// # Panics
    /// If no index of the entity has the field.
    #[must_use]
    pub fn expression(mut self, field: &str, sql: &str) -> Self {
        self.expressions.insert(self.known(field), sql.to_owned());
        self
    }

    fn known(&self, field: &str) -> &'static str {
        let fields = self.indexes.iter().flat_map(|index| index.fields);
        let known = fields.copied().find(|known| *known == field);
        known.unwrap_or_else(|| panic!("no index of `{}` has `{field}`", self.kind))
    }

    /// Makes each change record the whole kind. For ids of several parts, and
    /// for tables that are only joined into a kind.
    #[must_use]
    pub fn whole_kind(mut self) -> Self {
        self.id = None;
        self
    }

    /// Returns the journal entry of the whole kind, as an SQL literal.
    pub(crate) fn whole_kind_entry(&self) -> String {
        literal(&format!("all of {}", self.kind))
    }

    /// Returns the SQL of every key of the row called `row`. `segment` turns
    /// the SQL of a value into that of its segment. `unkeyed` is the SQL of
    /// [`UNKEYED`], and `bytes` names the collation that compares bytes.
    pub(crate) fn keys(
        &self,
        row: &str,
        unkeyed: &str,
        bytes: &str,
        segment: impl Fn(&str) -> String,
    ) -> Vec<String> {
        let Some(id) = &self.id else {
            return vec![unkeyed.to_owned()];
        };
        let of_row = |sql: &str| sql.replace(ROW, row);
        let id = of_row(id);
        // `{kind}:all` is the list of all, so the id `all` is escaped.
        let mut keys = vec![format!(
            "{} || CASE WHEN CAST({id} AS TEXT) {bytes} = 'all'
                  THEN CASE {of_id} WHEN 'all' THEN {} ELSE {unkeyed} END
                  ELSE coalesce({of_id}, {unkeyed}) END",
            literal(&format!("{}:", self.prefix)),
            literal(&written("all")),
            of_id = segment(&id),
        )];
        if self.list_all {
            keys.push(literal(&format!("{}:all", self.prefix)));
        }
        for index in self.indexes {
            let mut key = literal(&format!("{}:{}", self.prefix, index.segment));
            for field in index.fields {
                let sql = self.expressions.get(field).cloned();
                let value = of_row(&sql.unwrap_or_else(|| column(self.column_of(field))));
                key = format!("{key} || ':' || {}", segment(&value));
            }
            keys.push(key);
        }
        keys
    }

    fn column_of<'a>(&'a self, field: &'a str) -> &'a str {
        self.columns.get(field).map_or(field, String::as_str)
    }

    /// Returns the fields that are columns, with their columns' names.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = self.indexes.iter().flat_map(|index| index.fields).copied();
        fields
            .filter(|field| !self.expressions.contains_key(field))
            .map(|field| (field, self.column_of(field)))
    }
}

/// Returns the column of a row, as the SQL of a value.
fn column(name: &str) -> String {
    format!("{ROW}.{}", identifier(name))
}

/// Quotes a text for SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Quotes a name for SQL.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a table's name for SQL.
pub(crate) fn table(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(identifier).collect();
    parts.join(".")
}

/// Returns the first segment of a key, as the library writes it.
fn written(value: &str) -> String {
    let mut key = KeyWriter::new("", "kind");
    key.segment(value);
    key.as_str()["kind:".len()..].to_owned()
}

/// Returns the characters that a key escapes, and their escapes. They come from
/// the library itself, so the rule exists only once. `%` comes first, because
/// the other escapes contain it.
pub(crate) fn escapes() -> Vec<(char, String)> {
    // There are no others; a test compares the SQL with the library's keys.
    let candidates = ('\u{1}'..='\u{9f}').filter(|it| *it != '%');
    std::iter::once('%')
        .chain(candidates)
        .map(|it| (it, written(&it.to_string())))
        .filter(|(plain, written)| *written != plain.to_string())
        .collect()
}
