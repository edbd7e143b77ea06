//! Checks that a row's keys identify this row and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use aside::{Entity, entity::KeyWriter};

use super::problem::{EntityProblem, EntityProblems};

pub(super) fn of_id<E: Entity>(id: &E::Id) -> String {
    let mut key = KeyWriter::new("", E::KIND);
    E::write_id(id, &mut key);
    key.as_str().to_owned()
}

fn of_index<E: Entity>(index: &E::Index) -> String {
    let mut key = KeyWriter::new("", E::KIND);
    E::write_index(index, &mut key);
    key.as_str().to_owned()
}

/// Returns the lists that contain the row, according to the row.
fn lists<E: Entity>(row: &E) -> Vec<E::Index> {
    let mut lists = Vec::new();
    row.indexes(&mut |list| lists.push(list));
    lists
}

/// Checks the names that are part of every key of the kind.
pub(super) fn check_names<E: Entity>(problems: &mut EntityProblems) {
    let is_plain = |name: &str| {
        let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        !name.is_empty() && name.bytes().all(fits)
    };
    if !is_plain(E::KIND) || E::KIND == "aside" {
        let name = E::KIND.to_owned();
        problems.add(EntityProblem::Name { name });
    }
    let mut seen = HashSet::from(["all"]);
    for index in E::INDEXES {
        if !is_plain(index.segment) || !seen.insert(index.segment) {
            let name = index.segment.to_owned();
            problems.add(EntityProblem::Name { name });
        }
    }
}

/// Checks that each key of one row has the right form and is the same each
/// time.
pub(super) fn check_row<E: Entity>(row: &E, problems: &mut EntityProblems) {
    let key = of_id::<E>(row.id());
    if key != of_id::<E>(row.id()) {
        let what = "id".to_owned();
        problems.add(EntityProblem::NoKey { what });
    } else if parts::<E>(&key).is_none_or(|parts| parts.len() != 1) {
        problems.add(EntityProblem::IdOfSeveralSegments { key });
    }
    for list in lists(row) {
        let key = of_index::<E>(&list);
        if key != of_index::<E>(&list) {
            let what = format!("index value {list:?}");
            problems.add(EntityProblem::NoKey { what });
        } else if !is_described::<E>(&key) {
            problems.add(EntityProblem::UnknownList { key });
        }
    }
}

/// Returns the segments after the kind; none contains a colon.
fn parts<E: Entity>(key: &str) -> Option<Vec<&str>> {
    let rest = key.strip_prefix(E::KIND)?.strip_prefix(':')?;
    Some(rest.split(':').collect())
}

/// Returns true if `INDEXES` has the list's name, with as many fields.
fn is_described<E: Entity>(key: &str) -> bool {
    let Some(parts) = parts::<E>(key) else {
        return false;
    };
    let mut indexes = E::INDEXES.iter();
    indexes.any(|index| index.segment == parts[0] && index.fields.len() == parts.len() - 1)
}

/// Checks that a row that was read back has the same keys as before.
pub(super) fn check_after_reading<E: Entity>(row: &E, read: &E, problems: &mut EntityProblems) {
    let keys = |row: &E| {
        let mut keys: Vec<String> = lists(row).iter().map(of_index::<E>).collect();
        keys.insert(0, of_id::<E>(row.id()));
        keys
    };
    let (written, read) = (keys(row), keys(read));
    // Keys that differ each time were already reported.
    if written != read && written == keys(row) {
        problems.add(EntityProblem::KeysChange { written, read });
    }
}

/// Checks that equal values have one key, that values with one key are equal,
/// and that no two lookups share a key.
pub(super) fn check_equality<E: Entity>(rows: &[E], problems: &mut EntityProblems) {
    let ids = rows.iter().map(|row| row.id().clone());
    let ids = compare("ids", ids, of_id::<E>, problems);
    let indexes = rows.iter().flat_map(lists);
    let indexes = compare("index values", indexes, of_index::<E>, problems);
    let all = format!("{}:all", E::KIND);
    let rows_and_all = ids.iter().chain([&all]);
    for key in rows_and_all.filter(|key| indexes.contains(*key)) {
        problems.add(EntityProblem::TwoLookups { key: key.clone() });
    }
    if ids.contains(&all) {
        problems.add(EntityProblem::TwoLookups { key: all });
    }
}

/// Returns all keys.
fn compare<T: Clone + Eq + Hash>(
    what: &'static str,
    values: impl Iterator<Item = T>,
    key_of: impl Fn(&T) -> String,
    problems: &mut EntityProblems,
) -> BTreeSet<String> {
    let mut by_value: HashMap<T, String> = HashMap::new();
    let mut by_key: BTreeMap<String, T> = BTreeMap::new();
    for value in values {
        let key = key_of(&value);
        if key != key_of(&value) {
            continue; // It was reported with its row.
        }
        let first = by_value.entry(value.clone()).or_insert_with(|| key.clone());
        if *first != key {
            let keys = [first.clone(), key.clone()];
            problems.add(EntityProblem::EqualWithTwoKeys { what, keys });
        }
        let first = by_key.entry(key.clone()).or_insert_with(|| value.clone());
        if *first != value {
            problems.add(EntityProblem::OneKeyForTwo { what, key });
        }
    }
    by_key.into_keys().collect()
}
