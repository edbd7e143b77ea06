//! Shown rows: a write leaves only rows that reads would return.
//!
//! A write knows the row that it stored, but not the row that reads return.
//! Reads may omit it (a soft delete), join other tables into it, or return more
//! columns. Left under its id, such a row would be served until its TTL ends.
//! So if a field has a value that no read has returned yet, the write reads its
//! row back between COMMIT and RELEASE, and leaves it only if both are the
//! same.
//!
//! The first values of each field must be read back one by one; after
//! [`MAX_VALUES_PER_FIELD`] of them any value is accepted, because a status has few values
//! and a name has many. Values that mean empty or a boolean must always be read
//! back, because a soft delete usually changes a column to or from one of them.
//! So the first few dozen writes of a kind cost a read each, and later ones
//! hardly any. Nested fields count as fields: a row's state may be an object
//! with its end. A row that is not an object has a single value, and no number
//! of values stands for all.
//!
//! Two alternatives were rejected. A comparison in the background would serve
//! an omitted row until it ends. Leaving no row at all costs a read of the
//! database after each write.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde_json::value::RawValue;

use crate::entity::Entity;
use crate::protocol::BoxFuture;

/// This many values of a field stand for all.
const MAX_VALUES_PER_FIELD: usize = 16;

/// After this many consecutive rows that reads did not return, no more are
/// left.
const MAX_MISSES: u32 = 16;

/// The maximum number of remembered fields of a kind. A row with others is read
/// back.
const MAX_FIELDS: usize = 1_024;

/// The maximum depth of nested fields.
const DEEPEST: u8 = 8;

/// Values that mean empty, or one of two states.
const SINGULAR: [&str; 7] = ["null", "true", "false", "\"\"", "[]", "{}", "0"];

/// Reads one row from the database for a write of the kind.
pub(crate) trait ReadBack<E: Entity>: Send + Sync {
    /// Returns the row as reads return it; `Err` if the database failed.
    fn read_back<'a>(&'a self, id: &'a E::Id) -> BoxFuture<'a, Result<Option<Arc<E>>, ()>>;
}

/// Field values that reads have returned, of one kind.
pub(crate) struct Shown<E: Entity> {
    fields: Mutex<BTreeMap<String, Values>>,
    /// Weak, because a repository may hold the service that holds the kind.
    source: Mutex<Option<Weak<dyn ReadBack<E>>>>,
    misses: AtomicU32,
}

/// The values of one field, by hash.
#[derive(Default)]
struct Values {
    singular: BTreeSet<&'static str>,
    others: BTreeSet<u64>,
}

impl Values {
    fn has(&self, value: &str, is_whole: bool) -> bool {
        match singular(value) {
            Some(value) => self.singular.contains(value),
            None if !is_whole && MAX_VALUES_PER_FIELD <= self.others.len() => true,
            None => self.others.contains(&hash(value)),
        }
    }

    fn add(&mut self, value: &str) {
        match singular(value) {
            Some(value) => {
                self.singular.insert(value);
            }
            None if self.others.len() < MAX_VALUES_PER_FIELD => {
                self.others.insert(hash(value));
            }
            None => {}
        }
    }
}

fn singular(value: &str) -> Option<&'static str> {
    SINGULAR.into_iter().find(|singular| *singular == value)
}

fn hash(value: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// The path of a row that is not an object.
const WHOLE: &str = "";

/// Returns the fields of a row's text by their paths; the whole text if it is
/// not an object.
fn fields(text: &str) -> Vec<(String, &str)> {
    let mut fields = Vec::new();
    add_fields(WHOLE, text, DEEPEST, &mut fields);
    fields
}

fn add_fields<'a>(path: &str, text: &'a str, depth: u8, fields: &mut Vec<(String, &'a str)>) {
    let is_object = 0 < depth && text.starts_with('{');
    let inner: BTreeMap<Cow<'_, str>, &RawValue> = match is_object {
        true => serde_json::from_str(text).unwrap_or_default(),
        false => BTreeMap::new(),
    };
    for (name, value) in &inner {
        add_fields(&format!("{path}.{name}"), value.get(), depth - 1, fields);
    }
    if inner.is_empty() {
        fields.push((path.to_owned(), text));
    }
}

impl<E: Entity> Shown<E> {
    pub(crate) fn new() -> Self {
        Self {
            fields: Mutex::default(),
            source: Mutex::new(None),
            misses: AtomicU32::new(0),
        }
    }

    /// Sets the repository that rows are read back from.
    pub(crate) fn read_by(&self, source: Weak<dyn ReadBack<E>>) {
        *self.source.lock() = Some(source);
    }

    /// Returns true if reads have returned rows like that of `text`.
    pub(crate) fn has(&self, text: &str) -> bool {
        let shown = self.fields.lock();
        let is_shown = |(path, value): (String, &str)| {
            let values = shown.get(&path);
            values.is_some_and(|values| values.has(value, path == WHOLE))
        };
        fields(text).into_iter().all(is_shown)
    }

    /// Returns the row of `id` as reads return it; `Err` if the read failed, or
    /// if none of the last rows matched its write.
    pub(crate) async fn read_back(&self, id: &E::Id) -> Result<Option<Arc<E>>, ()> {
        if MAX_MISSES <= self.misses.load(Ordering::Relaxed) {
            return Err(());
        }
        let source = self.source.lock().as_ref().and_then(Weak::upgrade);
        source.ok_or(())?.read_back(id).await
    }

    /// Records that a read has returned the row of `text`.
    pub(crate) fn add(&self, text: &str) {
        self.misses.store(0, Ordering::Relaxed);
        let mut shown = self.fields.lock();
        for (path, value) in fields(text) {
            if shown.len() < MAX_FIELDS || shown.contains_key(&path) {
                shown.entry(path).or_default().add(value);
            }
        }
    }

    /// Records that a read has returned another row, or none if it `is_hidden`.
    /// Logs the first time, and the last time at which rows are read back.
    pub(crate) fn miss(&self, is_hidden: bool) {
        match self.misses.fetch_add(1, Ordering::Relaxed) + 1 {
            MAX_MISSES => tracing::error!(
                kind = E::KIND,
                "writes of a kind no longer leave their rows in the cache: reads returned none of the \
                 last {MAX_MISSES} as their writes recorded them: record rows as reads return \
                 them, or let `cache_on_write` be false"
            ),
            1 if is_hidden => tracing::warn!(
                kind = E::KIND,
                "a write recorded a row that reads omit; it is not cached. After a soft \
                 delete, call `deleted(&before)`"
            ),
            1 => tracing::warn!(
                kind = E::KIND,
                "a write recorded a row that reads return differently; it is not cached. Record \
                 rows as reads return them, or make `cache_on_write` return false"
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::example::Hero;

    fn shown(texts: &[&str]) -> Shown<Hero> {
        let shown = Shown::new();
        for text in texts {
            shown.add(text);
        }
        shown
    }

    #[test]
    fn a_value_that_no_read_returned_is_unknown() {
        let shown = shown(&[r#"{"name":"Mia","deleted":null}"#]);
        assert!(shown.has(r#"{"name":"Mia","deleted":null}"#));
        assert!(!shown.has(r#"{"name":"Mia","deleted":"2026-11-29"}"#));
        assert!(!shown.has(r#"{"name":"Mia","deleted":null,"more":1}"#));
    }

    #[test]
    fn many_values_of_a_field_stand_for_all() {
        let texts: Vec<String> = (1..=MAX_VALUES_PER_FIELD)
            .map(|n| format!(r#"{{"n":{n}}}"#))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert!(!shown(&texts[1..]).has(r#"{"n":99}"#));
        let all = shown(&texts);
        assert!(all.has(r#"{"n":99}"#));
        assert!(!all.has(r#"{"n":0}"#) && !all.has(r#"{"n":null}"#));
    }

    #[test]
    fn nested_fields_count_as_fields() {
        let texts: Vec<String> = (1..=99)
            .map(|n| format!(r#"{{"life":{{"begun":{n},"ended":null}},"state":{{"Live":{n}}}}}"#))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let shown = shown(&texts);
        assert!(shown.has(r#"{"life":{"begun":100,"ended":null},"state":{"Live":100}}"#));
        assert!(!shown.has(r#"{"life":{"begun":100,"ended":100},"state":{"Live":1}}"#));
        assert!(!shown.has(r#"{"life":{"begun":100,"ended":null},"state":{"Gone":1}}"#));
    }

    #[test]
    fn the_number_of_fields_is_bounded() {
        let texts: Vec<String> = (0..9_999).map(|n| format!(r#"{{"f{n}":1}}"#)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let shown = shown(&texts);
        assert!(shown.fields.lock().len() <= MAX_FIELDS);
        assert!(!shown.has(r#"{"f9998":1}"#));
    }

    #[test]
    fn values_of_non_objects_never_stand_for_all() {
        let texts: Vec<String> = (0..99).map(|n| format!("[{n}]")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert!(!shown(&texts).has("[99]"));
    }

    #[test]
    fn a_non_object_is_one_value() {
        let shown = shown(&["7"]);
        assert!(shown.has("7") && !shown.has("8"));
    }
}
