//! Keys that this instance does not trust Redis with.
//!
//! A key is held from the moment a write could not have its quarantine
//! acknowledged until Redis has acknowledged the release that followed the
//! verdict. Meanwhile the value in Redis may be older than the database, so
//! reads of the key pass Redis by.
//!
//! A long outage with many writes must not grow memory for ever: beyond a
//! bound a whole kind is held instead of its keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::key::Key;

/// Beyond this many held keys, kinds are held as a whole.
const MOST_KEYS: usize = 100_000;

/// The held keys, with how many writes hold each.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Zero in the normal case, which then costs one load.
    count: AtomicUsize,
    keys: Mutex<HashMap<Key, u32>>,
    /// Kinds held as a whole, as the beginning of their keys.
    kinds: Mutex<Vec<String>>,
}

impl Held {
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && (self.keys.lock().contains_key(key)
                || self
                    .kinds
                    .lock()
                    .iter()
                    .any(|kind| key.as_str().starts_with(kind)))
    }

    /// Holds a key once more. The stripe must be bumped afterwards: whoever
    /// sees the new generation must see the key held.
    pub(crate) fn hold(&self, key: &Key) {
        *self.keys.lock().entry(key.clone()).or_default() += 1;
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends one holding of a key.
    pub(crate) fn let_go(&self, key: &Key) {
        if let Entry::Occupied(mut held) = self.keys.lock().entry(key.clone()) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Holds every key that begins with `prefix`; false if that is so already.
    pub(crate) fn hold_kind(&self, prefix: &str) -> bool {
        let mut kinds = self.kinds.lock();
        let new = !kinds.iter().any(|kind| kind == prefix);
        if new {
            kinds.push(prefix.to_owned());
            self.count.fetch_add(1, Ordering::AcqRel);
        }
        new
    }

    /// Ends the holding of a kind.
    pub(crate) fn let_kind_go(&self, prefix: &str) {
        let mut kinds = self.kinds.lock();
        if let Some(at) = kinds.iter().position(|kind| kind == prefix) {
            kinds.swap_remove(at);
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether keys should no longer be held one by one.
    pub(crate) fn is_full(&self) -> bool {
        self.count.load(Ordering::Acquire) >= MOST_KEYS
    }

    /// How many holdings there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_held_by_two_writes_is_held_until_both_let_go() {
        let (held, key) = (Held::default(), Key::new("hero:1"));
        held.hold(&key);
        held.hold(&key);
        held.let_go(&key);
        assert!(held.contains(&key));
        held.let_go(&key);
        assert!(!held.contains(&key) && held.len() == 0);
    }

    #[test]
    fn a_held_kind_holds_its_keys_and_no_other() {
        let held = Held::default();
        assert!(held.hold_kind("hero:") && !held.hold_kind("hero:"));
        assert!(held.contains(&Key::new("hero:1")) && !held.contains(&Key::new("heroine:1")));
        held.let_kind_go("hero:");
        assert!(!held.contains(&Key::new("hero:1")));
    }
}
