//! Unreleased keys: keys for which this instance does not trust Redis.
//!
//! A key is unreleased from a write whose quarantine was not acknowledged until
//! Redis acknowledges the release after the verdict. In between, the value in
//! Redis may be older than the database, so reads of the key bypass Redis.
//!
//! A long outage with many writes must not grow memory without limit: above a
//! bound, whole kinds are tracked instead of keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::entity::key::Key;

/// Above this number of keys, kinds are tracked as a whole.
const MAX_KEYS: usize = 100_000;

/// The unreleased keys, with the number of writes of each.
#[derive(Debug, Default)]
pub(crate) struct UnreleasedKeys {
    /// Normally zero, so that a check costs one load.
    count: AtomicUsize,
    keys: Mutex<HashMap<Key, u32>>,
    /// Kinds tracked as a whole, by the prefix of their keys, with the number
    /// of writes.
    kinds: Mutex<HashMap<String, u64>>,
}

impl UnreleasedKeys {
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && (self.keys.lock().contains_key(key)
                || self
                    .kinds
                    .lock()
                    .keys()
                    .any(|kind| key.as_str().starts_with(kind)))
    }

    /// Adds a write of a key. Its generation must be incremented afterwards: a
    /// reader that sees the new generation must see the key as unreleased.
    pub(crate) fn add(&self, key: &Key) {
        *self.keys.lock().entry(key.clone()).or_default() += 1;
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Removes a write of a key.
    pub(crate) fn remove(&self, key: &Key) {
        if let Entry::Occupied(mut held) = self.keys.lock().entry(key.clone()) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Adds every key with `prefix`; returns false if they were added already.
    pub(crate) fn add_kind(&self, prefix: &str) -> bool {
        let mut kinds = self.kinds.lock();
        let writes = kinds.entry(prefix.to_owned()).or_default();
        *writes += 1;
        let new = *writes == 1;
        if new {
            self.count.fetch_add(1, Ordering::AcqRel);
        }
        new
    }

    /// Returns how many writes made a kind unreleased. Read it before Redis
    /// invalidates the kind, for [`UnreleasedKeys::remove_kind`].
    pub(crate) fn writes_of_kind(&self, prefix: &str) -> u64 {
        self.kinds.lock().get(prefix).copied().unwrap_or(0)
    }

    /// Removes a kind that Redis has invalidated for the first `writes`
    /// writes. Returns false if there was a later one, for which Redis must
    /// invalidate the kind again.
    pub(crate) fn remove_kind(&self, prefix: &str, writes: u64) -> bool {
        let mut kinds = self.kinds.lock();
        let now = kinds.get(prefix).copied().unwrap_or(0);
        if now == writes && kinds.remove(prefix).is_some() {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        now == writes
    }

    /// Returns true if single keys should no longer be added.
    pub(crate) fn is_full(&self) -> bool {
        self.count.load(Ordering::Acquire) >= MAX_KEYS
    }

    /// Returns the number of writes and kinds.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_unreleased_until_all_its_writes_are() {
        let (held, key) = (UnreleasedKeys::default(), Key::new("hero:1"));
        held.add(&key);
        held.add(&key);
        held.remove(&key);
        assert!(held.contains(&key));
        held.remove(&key);
        assert!(!held.contains(&key) && held.len() == 0);
    }

    #[test]
    fn an_unreleased_kind_covers_exactly_its_keys() {
        let held = UnreleasedKeys::default();
        assert!(held.add_kind("hero:") && !held.add_kind("hero:"));
        assert!(held.contains(&Key::new("hero:1")) && !held.contains(&Key::new("heroine:1")));
        assert!(held.remove_kind("hero:", held.writes_of_kind("hero:")));
        assert!(!held.contains(&Key::new("hero:1")));
    }

    #[test]
    fn a_kind_stays_unreleased_for_a_later_write() {
        let held = UnreleasedKeys::default();
        held.add_kind("hero:");
        let writes = held.writes_of_kind("hero:");
        held.add_kind("hero:");
        assert!(!held.remove_kind("hero:", writes));
        assert!(held.contains(&Key::new("hero:1")));
        assert!(held.remove_kind("hero:", writes + 1));
        assert_eq!(held.len(), 0);
    }
}
