//! Triggers: the database itself records the writes of other programs.
//!
//! The triggers compute keys in SQL. The refused alternative stores the changed
//! values and lets the poller compute the keys. With keys, `cache_journal`
//! keeps its format. A process of an older version, or one that does not cache
//! this kind, handles such a row like any other. It would have deleted a row of
//! values without understanding it. If SQL cannot compute a key, the row of the
//! whole kind is recorded.

mod columns;
mod quote;
mod keys;

use aside::Entity;
use aside::entity::KeyWriter;

use columns::Id;
use keys::{ListKey, RowKey};

pub use columns::Columns;
pub(crate) use columns::{Part, ROW, Value};
pub(crate) use keys::{Dialect, KindKeys, UNKEYED, whole_kind_entry};
pub(crate) use quote::{escapes, identifier, literal, short, table, written};

/// The maximum number of rows per statement, and of keys per kind. Above it,
/// the triggers record the whole kind instead.
pub(crate) const MAX_KEYS_PER_STATEMENT: usize = 1_000;

/// A segment longer than this many bytes is replaced by its digest.
pub(crate) const MAX_SEGMENT_BYTES: usize = 200;

/// Describes a table, for triggers that record the changes of *other programs*:
/// the keys of the row before and of the row after.
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
/// PostgreSQL pads `CHAR(n)`, so such a column records the whole kind. An index with
/// `fold` has its values in lower case; a value with letters outside of ASCII records the
/// whole kind.
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
///
/// # Several kinds
///
/// A table may change values of several kinds. Each kind has its own triggers on
/// a table. Installing those of one kind replaces earlier ones of the same kind,
/// and leaves those of other kinds in place.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, aside::Entity)]
/// # #[entity(kind = "favorite", list_all = false)]
/// # struct Favorite {
/// #     #[entity(id)]
/// #     id: (i64, i64),
/// # }
/// # #[derive(Clone, Serialize, Deserialize, aside::Entity)]
/// # #[entity(kind = "article")]
/// # struct Article {
/// #     #[entity(id)]
/// #     id: i64,
/// # }
/// # use aside_sqlx::Triggers;
/// // Rows of a link table, which an article counts.
/// let triggers = Triggers::of::<Favorite>("favorites", "prod")
///     .id(["user_id", "article_id"])
///     .row_of::<Article>("article_id");
/// ```
#[derive(Clone, Debug)]
pub struct Triggers {
    pub(crate) table: String,
    namespace: String,
    /// The kind whose rows are in the table, if there is one.
    own: Option<&'static str>,
    pub(crate) kinds: Vec<KindKeys>,
    /// An UPDATE counts only if it changes one of these columns or a key.
    pub(crate) only: Option<Vec<String>>,
}

impl Triggers {
    /// Describes the triggers of `table`, which may be `schema.table`. Its rows
    /// are cached as `E` under `namespace`, the `CACHE_NAMESPACE` of the
    /// services. By default the id is the column `id`, and each indexed field
    /// is the column of its name.
    #[must_use]
    pub fn of<E: Entity>(table: &str, namespace: &str) -> Self {
        let mut triggers = Self::on(table, namespace);
        triggers.own = Some(E::KIND);
        let of_field = |field: &&'static str| (*field, Value::Column((*field).to_owned()));
        let lists = E::INDEXES.iter().map(|index| ListKey {
            segment: index.segment,
            is_folded: index.fold.is_some(),
            values: index.fields.iter().map(of_field).collect(),
            is_own: true,
        });
        let keys = triggers.kind::<E>();
        keys.lists = lists.collect();
        keys.rows.push(RowKey {
            id: Id::of("id".named()),
            is_own: true,
        });
        triggers
    }

    /// Describes the triggers of a `table` whose rows are not cached themselves.
    /// Add the keys that change with them: [`row_of`](Self::row_of),
    /// [`list_of`](Self::list_of) or [`kind_of`](Self::kind_of).
    #[must_use]
    pub fn on(table: &str, namespace: &str) -> Self {
        Self {
            table: table.to_owned(),
            namespace: namespace.to_owned(),
            own: None,
            kinds: Vec::new(),
            only: None,
        }
    }

    /// Sets the column of the id, or the [`Columns`] of an id of several values.
    ///
    /// # Panics
    /// If the description began with [`on`](Self::on).
    #[must_use]
    pub fn id(mut self, columns: impl Columns) -> Self {
        let id = Id::of(columns.named());
        for row in self.own().rows.iter_mut().filter(|row| row.is_own) {
            row.id = id.clone();
        }
        self
    }

    /// Sets the column of an indexed field.
    ///
    /// # Panics
    /// If no index of the entity has the field.
    #[must_use]
    pub fn column(self, field: &str, name: &str) -> Self {
        self.with_field(field, &Value::Column(name.to_owned()))
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
    pub fn expression(self, field: &str, sql: &str) -> Self {
        self.with_field(field, &Value::Sql(sql.to_owned()))
    }

    fn with_field(mut self, field: &str, value: &Value) -> Self {
        let own = self.own();
        let (mut is_known, kind) = (false, own.kind);
        let lists = own.lists.iter_mut().filter(|list| list.is_own);
        for (name, current) in lists.flat_map(|list| &mut list.values) {
            if *name == field {
                *current = value.clone();
                is_known = true;
            }
        }
        assert!(is_known, "no index of `{kind}` has `{field}`");
        self
    }

    /// Makes each change record the whole kind. For tables that are only joined
    /// into a kind.
    #[must_use]
    pub fn whole_kind(mut self) -> Self {
        self.own().is_whole = true;
        self
    }

    /// Adds the row of another kind whose id is in these [`Columns`], for
    /// example an article that shows the number of its favorites. NULL refers to
    /// no row.
    ///
    /// It also records the list of all rows of that kind, if there is one. Other
    /// lists that contain the row need [`list_of`](Self::list_of) or
    /// [`kind_of`](Self::kind_of).
    #[must_use]
    pub fn row_of<E: Entity>(mut self, columns: impl Columns) -> Self {
        let id = Id::of(columns.named());
        let row = RowKey { id, is_own: false };
        self.kind::<E>().rows.push(row);
        self
    }

    /// Adds a list of another kind: that of its index `segment`, as keys name
    /// it, whose values are in these [`Columns`]. No list contains NULL.
    ///
    /// # Panics
    /// If the entity has no such index, or it has other fields.
    #[must_use]
    pub fn list_of<E: Entity>(mut self, segment: &str, columns: impl Columns) -> Self {
        let index = E::INDEXES.iter().find(|index| index.segment == segment);
        let index = index.unwrap_or_else(|| panic!("`{}` has no index `{segment}`", E::KIND));
        let columns = columns.named().in_order_of(index.fields);
        let columns =
            columns.unwrap_or_else(|| panic!("`{segment}` has the fields {:?}", index.fields));
        let columns = columns.into_iter().map(Value::Column);
        let list = ListKey {
            segment: index.segment,
            is_folded: index.fold.is_some(),
            values: index.fields.iter().copied().zip(columns).collect(),
            is_own: false,
        };
        self.kind::<E>().lists.push(list);
        self
    }

    /// Makes each change record the whole of another kind.
    #[must_use]
    pub fn kind_of<E: Entity>(mut self) -> Self {
        self.kind::<E>().is_whole = true;
        self
    }

    /// Ignores an UPDATE of a row that changes none of these columns and no
    /// key. For columns that no cached value has, such as a counter of logins.
    ///
    /// On PostgreSQL the rows before and after are compared by primary key. On a
    /// table without one, this has no effect.
    #[must_use]
    pub fn only_columns<const N: usize>(mut self, columns: [&str; N]) -> Self {
        self.only = Some(columns.map(str::to_owned).to_vec());
        self
    }

    /// Refuses a description that would notify no cache.
    pub(crate) fn check(&self) -> Result<(), sqlx::Error> {
        let is_empty =
            |keys: &KindKeys| !keys.is_whole && keys.rows.is_empty() && keys.lists.is_empty();
        if self.kinds.iter().all(is_empty) {
            let error = format!("the triggers of `{}` have no keys to record", self.table);
            return Err(sqlx::Error::Configuration(error.into()));
        }
        Ok(())
    }

    /// Returns the keys of the kind whose rows are in the table.
    fn own(&mut self) -> &mut KindKeys {
        let own = self.own;
        let own = self.kinds.iter_mut().find(|keys| Some(keys.kind) == own);
        own.expect("the description begins with `Triggers::of`")
    }

    /// Returns the keys of a kind, which may be new here.
    fn kind<E: Entity>(&mut self) -> &mut KindKeys {
        let known = self.kinds.iter().position(|keys| keys.kind == E::KIND);
        let position = known.unwrap_or_else(|| {
            self.kinds.push(KindKeys {
                kind: E::KIND,
                prefix: KeyWriter::new(&self.namespace, E::KIND).as_str().to_owned(),
                list_all: E::LIST_ALL || E::TRACKED,
                is_whole: false,
                rows: Vec::new(),
                lists: Vec::new(),
            });
            self.kinds.len() - 1
        });
        &mut self.kinds[position]
    }
}
