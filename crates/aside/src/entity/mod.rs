//! What can be cached: a row with an identity, and the lists it stands in.

pub(crate) mod codec;
pub(crate) mod exact;
pub(crate) mod key;
pub mod likeness;
pub(crate) mod lookup;
pub(crate) mod shape;
pub(crate) mod strategy;

mod dependents;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entity::key::{Key, KeyWriter};
use crate::entity::likeness::is_written_alike;

pub use dependents::Dependents;

/// A list as it is handed out: one reference count for all of it.
pub type Rows<E> = Arc<[Arc<E>]>;

/// A row type that a cache may hold, and the keys it is held under.
///
/// [`#[derive(Entity)]`](macro@crate::Entity) writes this impl. Written by
/// hand it must keep these promises:
///
/// - `indexes` names every list that the row stands in;
/// - `write_id` appends one segment, and `write_index` the index's own name
///   and then its values, so that two lookups never share a key; the names
///   are `[a-z0-9_-]+`, each used once, and none is `all`;
/// - `fingerprint` changes whenever the serialized form does;
/// - a row comes back from its text as it went: see
///   [`difference`](Self::difference).
///
/// ```
/// use aside::{Entity, IndexShape, KeyWriter};
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
///     /// The database compares names without regard to case, and so do we.
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
    message = "`{Self}` is no entity, so it cannot be cached",
    note = "derive it with `#[derive(aside::Entity)]`, or implement `aside::Entity` by hand"
)]
pub trait Entity: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The first part of every key: `[a-z0-9_-]+`, not `aside`.
    const KIND: &'static str;

    /// Whether the kind has a list of all its rows, `{kind}:all`.
    const LIST_ALL: bool = true;

    /// The indexes, as programs that know no Rust types see them.
    const INDEXES: &'static [IndexShape];

    /// Whether two ids are equal exactly where their segments of a key are:
    /// then they are looked for in process by `Eq`, which is cheaper. Where it
    /// is false, the default, by the text of the key. See
    /// [`ExactText`](crate::ExactText).
    const HAS_EXACT_ID: bool = false;

    /// The same of index values.
    const HAS_EXACT_INDEXES: bool = false;

    /// Whether it is known of every row that it comes back from its JSON as it
    /// went. Then the first rows and a sample of the others are compared with what
    /// comes back; where it is false, the default, every row is that is to be
    /// cached.
    const IS_PLAIN: bool = false;

    /// What identifies a row.
    type Id: Clone + Eq + Hash + Debug + Send + Sync + 'static;

    /// One value of one index. Two values are one list where their keys are the
    /// same: normalise what the database compares without case.
    type Index: Clone + Eq + Hash + Debug + Send + Sync + 'static;

    /// The identity of this row.
    fn id(&self) -> &Self::Id;

    /// Calls `each` with every list this row stands in, the list of all
    /// apart. An optional index that is `None` stands in no list.
    fn indexes(&self, each: &mut dyn FnMut(Self::Index));

    /// Appends the id to a key, as one segment.
    fn write_id(id: &Self::Id, key: &mut KeyWriter);

    /// Appends an index value to a key: the index's name, then its values.
    fn write_index(index: &Self::Index, key: &mut KeyWriter);

    /// A number that differs between two shapes of the serialized row.
    fn fingerprint() -> u64;

    /// Adds the keys of other kinds that change with this row and can be
    /// computed from it alone. Called with the row before and the row after, by
    /// every process that writes the type; [`#[derive(Entity)]`](macro@crate::Entity)
    /// takes it as `dependents = "function"`. Default: none.
    fn dependents(&self, keys: &mut Dependents<'_>) {
        let _ = keys;
    }

    /// The row's version, if it has one that only grows.
    fn version(&self) -> Option<u64> {
        None
    }

    /// The first field in which `other` is not what a caller sees here; `None`
    /// if there is none.
    ///
    /// By this a row is compared with what comes back from its text, before it
    /// is cached, and with the database's, by the audit. The derive compares field
    /// by field: a type's equality and what `Debug` prints of it must both say the
    /// same. By hand, compare the fields. The default compares what serde writes
    /// of both rows, and so cannot see what serde leaves out or rounds.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        (!is_written_alike(self, other)).then_some("row")
    }
}

/// One index of an entity, described for programs that know no Rust types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexShape {
    /// The index's name in keys, as in `hero:lang:en`.
    pub segment: &'static str,
    /// The fields whose values follow, in the order of the key.
    pub fields: &'static [&'static str],
    /// Whether at most one row stands in each of its lists.
    pub unique: bool,
}

impl IndexShape {
    /// Describes an index of `fields` under the name `segment`.
    #[must_use]
    pub const fn new(segment: &'static str, fields: &'static [&'static str], unique: bool) -> Self {
        Self {
            segment,
            fields,
            unique,
        }
    }
}

/// The key of one row.
pub(crate) fn id_key<E: Entity>(namespace: &str, id: &E::Id) -> Key {
    let mut key = KeyWriter::new(namespace, E::KIND);
    E::write_id(id, &mut key);
    key.finish()
}

/// The key of one list.
pub(crate) fn index_key<E: Entity>(namespace: &str, index: &E::Index) -> Key {
    let mut key = KeyWriter::new(namespace, E::KIND);
    E::write_index(index, &mut key);
    key.finish()
}

/// The key of the list of all.
pub(crate) fn all_key(namespace: &str, kind: &str) -> Key {
    let mut key = KeyWriter::new(namespace, kind);
    key.name("all");
    key.finish()
}

/// A kind for the tests of other modules.
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
