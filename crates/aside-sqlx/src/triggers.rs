//! Triggers: what other programs write, told by the database itself.
//!
//! The triggers compute keys in SQL rather than storing the changed values for
//! the poller to make keys of. So `cache_journal` holds what it always held:
//! a process of an older version, or one that does not cache this kind, works
//! such a row off as any other, where it would have deleted a row of values
//! without knowing what it says. What SQL cannot key becomes the row of the
//! whole kind.

use std::collections::BTreeMap;

use aside::{Entity, IndexShape, KeyWriter};

/// Rows of one statement, and keys of one kind, above which the triggers
/// record the whole kind instead.
pub(crate) const MOST_KEYS: usize = 1_000;

/// A segment longer than this many bytes is replaced by its digest.
pub(crate) const LONGEST_SEGMENT_BYTES: usize = 200;

/// What the triggers write in place of a segment that they cannot compute.
/// It comes out of no escaping.
pub(crate) const UNKEYED: char = '\u{1}';

/// Stands for the row in the SQL of a value.
const ROW: &str = "{row}";

/// The table of a kind, for triggers on it that record what *other programs*
/// change: the keys of the row before and of the row after.
///
/// [`SqliteJournal::install_triggers`](crate::SqliteJournal::install_triggers)
/// and [`PostgresJournal::install_triggers`](crate::PostgresJournal::install_triggers)
/// say what they cannot see.
///
/// The triggers compute keys from columns: the text of an indexed column, or
/// of the id, must be what the field serializes to. A column that is called
/// otherwise than its field is named by [`column`](Self::column), one that
/// holds something else is corrected by [`expression`](Self::expression).
/// Where a value has no such text, as a time or a document, and where the key
/// cannot be computed for another reason, the whole kind is recorded. Values
/// are taken by their bytes, whatever the collation of their column; `CHAR(n)`
/// of PostgreSQL, which pads them, is recorded as the whole kind.
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
    /// What all keys of the kind begin with, without the last colon.
    pub(crate) prefix: String,
    list_all: bool,
    /// The SQL of the id; `None` where only the whole kind is recorded.
    id: Option<String>,
    indexes: &'static [IndexShape],
    /// The columns of fields, by field, where they have another name.
    columns: BTreeMap<&'static str, String>,
    /// The SQL of fields, by field, where it is not that of a column.
    expressions: BTreeMap<&'static str, String>,
}

impl Triggers {
    /// The triggers of `table`, which may be `schema.table`, whose rows are
    /// cached as `E` under `namespace`, the `CACHE_NAMESPACE` of the services.
    /// The id is the column `id`, and each indexed field the column of its
    /// name.
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

    /// The id is the column of this name.
    #[must_use]
    pub fn id(mut self, name: &str) -> Self {
        self.id = Some(column(name));
        self
    }

    /// An indexed field is the column of this name.
    ///
    /// # Panics
    /// If no index of the entity has the field.
    #[must_use]
    pub fn column(mut self, field: &str, name: &str) -> Self {
        self.columns.insert(self.known(field), name.to_owned());
        self
    }

    /// An indexed field is what this SQL gives, in which `{row}` stands for the
    /// row; NULL stands for `None`. Two examples: `trim({row}.name)`, and on
    /// SQLite `CASE {row}.active WHEN 1 THEN 'true' ELSE 'false' END` for a
    /// `bool` whose column is not declared as BOOLEAN. Functions that are not
    /// the database's own need the name of their schema.
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

    /// Each change records the whole kind: for ids of several parts, and for
    /// tables that a kind is only joined from.
    #[must_use]
    pub fn whole_kind(mut self) -> Self {
        self.id = None;
        self
    }

    /// The entry of the whole kind, as an SQL literal.
    pub(crate) fn all_of(&self) -> String {
        literal(&format!("all of {}", self.kind))
    }

    /// The SQL of every key of the row called `row`, by the SQL that `segment`
    /// makes of a value's; `unkeyed` is that of [`UNKEYED`], and `bytes` names
    /// the collation that compares bytes.
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
        // `{kind}:all` is the list of all, so an id of that name steps aside.
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

    /// The fields that are columns, and these.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = self.indexes.iter().flat_map(|index| index.fields).copied();
        fields
            .filter(|field| !self.expressions.contains_key(field))
            .map(|field| (field, self.column_of(field)))
    }
}

/// The column of a row, in the SQL of a value.
fn column(name: &str) -> String {
    format!("{ROW}.{}", identifier(name))
}

/// A text as SQL writes it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as SQL writes it.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table as SQL writes it.
pub(crate) fn table(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(identifier).collect();
    parts.join(".")
}

/// The first segment of a key, as the library writes it.
fn written(value: &str) -> String {
    let mut key = KeyWriter::new("", "kind");
    key.segment(value);
    key.as_str()["kind:".len()..].to_owned()
}

/// The characters that a key escapes, and how it writes them: as the library
/// itself writes them, so that the rule stands in one place. What is written
/// with them comes first.
pub(crate) fn escapes() -> Vec<(char, String)> {
    // No others are; a test holds the SQL to the library's own keys.
    let candidates = ('\u{1}'..='\u{9f}').filter(|it| *it != '%');
    std::iter::once('%')
        .chain(candidates)
        .map(|it| (it, written(&it.to_string())))
        .filter(|(plain, written)| *written != plain.to_string())
        .collect()
}
