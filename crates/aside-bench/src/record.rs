//! Rows with a version.

use aside::{
    Entity,
    entity::{IndexShape, KeyWriter, read_segment},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The most lists that may contain a record, without the list of all.
const MAX_LISTS: usize = 8;

/// How many different values an index has.
pub(crate) const VALUES: u64 = 100;

/// A record that is in `LISTS` lists. If that is not zero, it is also in the
/// list of all.
///
/// `KIND` distinguishes kinds if a service has several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record<const LISTS: usize, const KIND: usize = 0> {
    pub(crate) id: Uuid,
    pub(crate) version: u64,
    /// The id's number; index values are derived from it.
    pub(crate) number: u64,
    pub(crate) content: String,
}

/// One value of one of the indexes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct List {
    pub(crate) index: usize,
    pub(crate) value: u64,
}

const NAMES: [&str; MAX_LISTS] = ["a", "b", "c", "d", "e", "f", "g", "h"];

const SHAPES: [IndexShape; MAX_LISTS] = {
    let mut shapes = [IndexShape::new("a", &["value"], false); MAX_LISTS];
    let mut at = 0;
    while at < MAX_LISTS {
        shapes[at] = IndexShape::new(NAMES[at], &["value"], false);
        at += 1;
    }
    shapes
};

/// How many kinds of records there are. For each one the compiler makes all of the read
/// path, which takes it minutes for all of them.
pub(crate) const MAX_KINDS: usize = if cfg!(feature = "kinds") { 32 } else { 4 };

const KINDS: [&str; 32] = [
    "record", "kind-b", "kind-c", "kind-d", "kind-e", "kind-f", "kind-g", "kind-h", "kind-i",
    "kind-j", "kind-k", "kind-l", "kind-m", "kind-n", "kind-o", "kind-p", "kind-q", "kind-r",
    "kind-s", "kind-t", "kind-u", "kind-v", "kind-w", "kind-x", "kind-y", "kind-z", "kind-aa",
    "kind-ab", "kind-ac", "kind-ad", "kind-ae", "kind-af",
];

impl<const LISTS: usize, const KIND: usize> Record<LISTS, KIND> {
    /// Returns a record of version 1, with a content of `bytes` bytes.
    pub(crate) fn new(number: u64, bytes: usize) -> Self {
        Self {
            id: crate::heroes::id(number),
            version: 1,
            number,
            content: "abcdefghijklmnop".chars().cycle().take(bytes).collect(),
        }
    }
}

impl<const LISTS: usize, const KIND: usize> Entity for Record<LISTS, KIND> {
    const KIND: &'static str = KINDS[KIND];
    const LIST_ALL: bool = LISTS > 0;
    const INDEXES: &'static [IndexShape] = SHAPES.split_at(LISTS).0;
    type Id = Uuid;
    type Index = List;

    fn id(&self) -> &Uuid {
        &self.id
    }

    fn indexes(&self, each: &mut dyn FnMut(List)) {
        for index in 0..LISTS {
            let value = (self.number + index as u64) % VALUES;
            each(List { index, value });
        }
    }

    fn write_id(id: &Uuid, key: &mut KeyWriter) {
        key.segment(id);
    }

    fn read_id(segment: &str) -> Option<Uuid> {
        read_segment(segment)
    }

    fn write_index(list: &List, key: &mut KeyWriter) {
        key.name(NAMES[list.index]);
        key.segment(&list.value);
    }

    fn fingerprint() -> u64 {
        1
    }

    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}
