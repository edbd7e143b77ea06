//! Entities: rows with an identity, and the lists that contain them.

pub(crate) mod codec;
pub(crate) mod exact;
pub(crate) mod namespace;
mod fold;
pub(crate) mod key;
#[doc(hidden)]
pub mod likeness;
#[doc(hidden)]
pub mod id_text;
pub(crate) mod lookup;
#[doc(hidden)]
pub mod segment;
pub(crate) mod shape;
pub(crate) mod strategy;
pub(crate) mod listed_id;

mod dependents;
pub(crate) mod following;

use namespace::Namespace;
use std::cmp::Ordering;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entity::key::Key;
use crate::entity::likeness::is_written_alike;

pub use dependents::Dependents;
pub use exact::ExactText;
pub use fold::Fold;
pub use following::Following;
pub use key::KeyWriter;
pub use segment::read_segment;
pub use strategy::DefaultStrategy;

/// A list as callers receive it: a clone copies one reference count.
pub type Rows<E> = Arc<[Arc<E>]>;

/// A row type that can be cached, with its keys.
///
/// [`#[derive(Entity)]`](macro@crate::Entity) writes this impl. An impl by hand
/// must keep these promises:
///
/// - `indexes` names every list that contains the row;
/// - `write_id` appends one segment, and `write_index` the name of the index
///   and then its values, so that two lookups never share a key; each name is
///   used once, matches `[a-z0-9_-]+`, and is not `all`;
/// - `fingerprint` changes whenever the serialized form does;
/// - a row survives the round trip through its text unchanged: see
///   [`difference`](Self::difference).
///
/// ```
/// use aside::{Entity, entity::{IndexShape, KeyWriter}};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Serialize, Deserialize)]
/// pub struct Country {
///     code: String,
///     name: String,
/// }
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// pub enum CountryIndex {
///     /// `country:name:{name}`, in lower case; see `CountryIndex::name`.
///     Name(String),
/// }
///
/// impl CountryIndex {
///     /// Lower case, because the database compares names without regard to case.
///     pub fn name(name: &str) -> Self {
///         Self::Name(name.to_lowercase())
///     }
/// }
///
/// impl Entity for Country {
///     const KIND: &'static str = "country";
///     const INDEXES: &'static [IndexShape] = &[IndexShape::new("name", &["name"], true)];
///     type Id = String;
///     type Index = CountryIndex;
///
///     fn id(&self) -> &String {
///         &self.code
///     }
///
///     fn indexes(&self, each: &mut dyn FnMut(CountryIndex)) {
///         each(CountryIndex::name(&self.name));
///     }
///
///     fn write_id(id: &String, key: &mut KeyWriter) {
///         key.segment(id);
///     }
///
///     fn write_index(index: &CountryIndex, key: &mut KeyWriter) {
///         match index {
///             CountryIndex::Name(name) => {
///                 key.name("name");
///                 key.segment(name);
///             }
///         }
///     }
///
///     fn fingerprint() -> u64 {
///         1 // raise it when the serialized form changes
///     }
///
///     fn difference(&self, other: &Self) -> Option<&'static str> {
///         if self.code != other.code {
///             return Some("code");
///         }
///         (self.name != other.name).then_some("name")
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity, so it cannot be cached",
    note = "derive it with `#[derive(aside::Entity)]`, or implement `aside::Entity` by hand"
)]
pub trait Entity: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The first part of every key: `[a-z0-9_-]+`, not `aside`.
    const KIND: &'static str;

    /// True if the kind has a list of all its rows, `{kind}:all`.
    const LIST_ALL: bool = true;

    /// True if each write invalidates `{kind}:all` although no reader reads a list of
    /// all there: for queries that depend on the whole kind.
    const TRACKED: bool = false;

    /// Describes the indexes to programs that do not know the Rust types.
    const INDEXES: &'static [IndexShape];

    /// True if two ids are equal exactly if their key segments are.
    ///
    /// The local tier then compares ids with `Eq`, which is cheaper. If false,
    /// the default, it compares the text of their keys. See
    /// [`ExactText`].
    const HAS_EXACT_ID: bool = false;

    /// The same for index values.
    const HAS_EXACT_INDEXES: bool = false;

    /// True if every row of the type is known to survive the round trip through
    /// JSON.
    ///
    /// Then only the first rows and a sample of the others are checked before
    /// they are cached. If false, the default, every row is checked.
    const IS_PLAIN: bool = false;

    /// True if lists of an index have ids instead of rows; see
    /// [`is_list_of_ids`](Self::is_list_of_ids).
    const HAS_ID_LISTS: bool = false;

    /// True for an id in a list of ids, which has no fields.
    #[doc(hidden)]
    const IS_LISTED_ID: bool = false;

    /// Identifies a row.
    type Id: Clone + Eq + Hash + Debug + Send + Sync + 'static;

    /// One value of one index. Two values name the same list if their keys are
    /// equal, so normalise values that the database compares without case.
    type Index: Clone + Eq + Hash + Debug + Send + Sync + 'static;

    /// Returns the id of this row.
    fn id(&self) -> &Self::Id;

    /// Calls `each` with every list that contains this row, except the list of
    /// all. An optional index that is `None` is in no list.
    fn indexes(&self, each: &mut dyn FnMut(Self::Index));

    /// Appends the id to a key, as one segment.
    fn write_id(id: &Self::Id, key: &mut KeyWriter);

    /// Appends an index value to a key: the name of the index, then its values.
    fn write_index(index: &Self::Index, key: &mut KeyWriter);

    /// Returns the id that [`write_id`](Self::write_id) wrote as this segment; `None`, the
    /// default, if the type does not read ids.
    ///
    /// So rows can be read by a stored list of keys. By hand, call [`read_segment`].
    fn read_id(segment: &str) -> Option<Self::Id> {
        let _ = segment;
        None
    }

    /// The same for an index value: its name and the segments of its values.
    fn read_index(name: &str, values: &[&str]) -> Option<Self::Index> {
        let _ = (name, values);
        None
    }

    /// Returns a number that differs between two shapes of the serialized row.
    fn fingerprint() -> u64;

    /// Adds keys of other kinds that change with this row and can be computed
    /// from it alone. Default: none.
    ///
    /// Called with the row before and the row after, by every process that
    /// writes the type. [`#[derive(Entity)]`](macro@crate::Entity) takes it as
    /// `dependents = "function"`.
    fn dependents(&self, keys: &mut Dependents<'_>) {
        let _ = keys;
    }

    /// Returns the row's version, if it has one that only grows.
    fn version(&self) -> Option<u64> {
        None
    }

    /// Returns true if the list of this index value stores the ids of its rows, and each
    /// row is stored once, under its id. Default: false.
    fn is_list_of_ids(index: &Self::Index) -> bool {
        let _ = index;
        false
    }

    /// Returns true if the change of this row to `after`, which stays in a list of ids,
    /// may move it there. Default: true.
    fn moves_in(&self, after: &Self, index: &Self::Index) -> bool {
        let _ = (after, index);
        true
    }

    /// Compares the places of two rows in a list of ids; `None`, the default, if its
    /// order is not known.
    fn compare_in(&self, other: &Self, index: &Self::Index) -> Option<Ordering> {
        let _ = (other, index);
        None
    }

    /// Returns the JSON of an id, for lists of ids.
    fn id_to_json(id: &Self::Id) -> Option<String> {
        let _ = id;
        None
    }

    /// Returns the id of such a JSON.
    fn id_from_json(json: &str) -> Option<Self::Id> {
        let _ = json;
        None
    }

    /// Returns the first field that differs from `other` as callers see it;
    /// `None` if there is none.
    ///
    /// It compares a row with its round trip through text before caching it,
    /// and with the database's row during an audit. The derive compares field
    /// by field: `PartialEq` and `Debug` of a field must agree. By hand,
    /// compare the fields. The default compares the serialized rows, so it
    /// cannot see fields that serde skips or rounds.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        (!is_written_alike(self, other)).then_some("row")
    }
}

/// Describes one index of an entity to programs that do not know the Rust
/// types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexShape {
    /// The name of the index in keys, as `lang` in `hero:lang:en`.
    pub segment: &'static str,
    /// The fields whose values follow the name, in the order of the key.
    pub fields: &'static [&'static str],
    /// True if each of its lists contains at most one row.
    pub unique: bool,
    /// The rule by which different spellings of a value name the same list.
    pub fold: Option<Fold>,
    /// True if its lists store ids.
    pub has_ids: bool,
}

impl IndexShape {
    /// Describes an index of `fields` under the name `segment`.
    #[must_use]
    pub const fn new(segment: &'static str, fields: &'static [&'static str], unique: bool) -> Self {
        Self {
            segment,
            fields,
            unique,
            fold: None,
            has_ids: false,
        }
    }

    /// The same for an index whose lists store ids.
    #[must_use]
    pub const fn ids(self) -> Self {
        Self {
            has_ids: true,
            ..self
        }
    }

    /// The same for an index whose key has folded values.
    #[must_use]
    pub const fn folded(self, fold: Fold) -> Self {
        Self {
            fold: Some(fold),
            ..self
        }
    }
}

/// Returns true if each write of a row of the kind invalidates `{kind}:all`.
pub(crate) const fn touches_all<E: Entity>() -> bool {
    E::LIST_ALL || E::TRACKED
}

/// Returns the key of one row.
pub(crate) fn id_key<E: Entity>(namespace: Namespace<'_>, id: &E::Id) -> Key {
    let mut key = KeyWriter::new(namespace.0, E::KIND);
    E::write_id(id, &mut key);
    key.finish()
}

/// Returns the key of one list.
pub(crate) fn index_key<E: Entity>(namespace: Namespace<'_>, index: &E::Index) -> Key {
    let mut key = KeyWriter::new(namespace.0, E::KIND);
    E::write_index(index, &mut key);
    key.finish()
}

/// Returns the key of the list of all.
pub(crate) fn all_key(namespace: Namespace<'_>, kind: &str) -> Key {
    let mut key = KeyWriter::new(namespace.0, kind);
    key.name("all");
    key.finish()
}

/// An entity for the tests of other modules.
#[cfg(test)]
pub(crate) mod example {
    use std::convert::Infallible;

    use super::{Entity, IndexShape};
    use crate::entity::key::KeyWriter;

    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Hero(pub(crate) u32);

    impl Entity for Hero {
        const KIND: &'static str = "hero";
        const INDEXES: &'static [IndexShape] = &[];
        type Id = u32;
        type Index = Infallible;

        fn id(&self) -> &u32 {
            &self.0
        }

        fn indexes(&self, _: &mut dyn FnMut(Infallible)) {}

        fn write_id(id: &u32, key: &mut KeyWriter) {
            key.segment(id);
        }

        fn write_index(index: &Infallible, _: &mut KeyWriter) {
            match *index {}
        }

        fn fingerprint() -> u64 {
            1
        }
    }
}
