//! An id in a list of ids, as a row of the same kind.
//!
//! A list of ids is read, filled and invalidated like any list: it has the key of the
//! index value, and its fingerprint differs from that of a list of rows.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::entity::key::{Key, KeyWriter};
use crate::entity::{Entity, IndexShape, Rows};

/// Makes another fingerprint of that of the rows.
const OF_IDS: u64 = 0x6964_735f_6c69_7374;

/// Returns true if a key of a kind is that of a list of ids: `{kind}:{index}:{value}`.
pub(crate) fn is_key_of_list(kind: &str, indexes: &[IndexShape], key: &Key) -> bool {
    let names_list = |index: &IndexShape| {
        let prefix = format!("{kind}:{}:", index.segment);
        index.has_ids && key.as_str().contains(&prefix)
    };
    indexes.iter().any(names_list)
}

/// Returns the fingerprint of lists of ids of rows with this fingerprint.
pub(crate) fn fingerprint_of_ids(rows: u64) -> u64 {
    rows.rotate_left(1) ^ OF_IDS
}

/// The id of a row in a list.
pub(crate) struct ListedId<E: Entity> {
    pub(crate) id: E::Id,
    /// The rows of the whole list, at its first member, if the list was just loaded.
    pub(crate) loaded: Option<Arc<LoadedRows<E>>>,
    /// True if the row did not have the index value: its list must not be cached.
    pub(crate) is_misplaced: bool,
}

/// The rows of a list that was loaded, until a reader takes them.
pub(crate) struct LoadedRows<E> {
    /// The number of the load.
    pub(crate) load: u64,
    pub(crate) rows: Mutex<Option<Rows<E>>>,
}

impl<E: Entity> Clone for ListedId<E> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            loaded: None,
            is_misplaced: self.is_misplaced,
        }
    }
}

impl<E: Entity> Serialize for ListedId<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_misplaced {
            return Err(S::Error::custom("a row is in a list of another value"));
        }
        let json = E::id_to_json(&self.id).and_then(|json| RawValue::from_string(json).ok());
        let json = json.ok_or_else(|| S::Error::custom("an id has no text"))?;
        json.serialize(serializer)
    }
}

impl<'de, E: Entity> Deserialize<'de> for ListedId<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let id = E::id_from_json(json.get());
        Ok(Self {
            id: id.ok_or_else(|| D::Error::custom("a text is no id"))?,
            loaded: None,
            is_misplaced: false,
        })
    }
}

impl<E: Entity> Entity for ListedId<E> {
    const KIND: &'static str = E::KIND;
    const LIST_ALL: bool = false;
    const INDEXES: &'static [IndexShape] = E::INDEXES;
    const HAS_EXACT_ID: bool = E::HAS_EXACT_ID;
    const HAS_EXACT_INDEXES: bool = E::HAS_EXACT_INDEXES;
    const IS_LISTED_ID: bool = true;
    type Id = E::Id;
    type Index = E::Index;

    fn id(&self) -> &E::Id {
        &self.id
    }

    fn indexes(&self, _: &mut dyn FnMut(E::Index)) {}

    fn write_id(id: &E::Id, key: &mut KeyWriter) {
        E::write_id(id, key);
    }

    fn write_index(index: &E::Index, key: &mut KeyWriter) {
        E::write_index(index, key);
    }

    fn fingerprint() -> u64 {
        fingerprint_of_ids(E::fingerprint())
    }
}
