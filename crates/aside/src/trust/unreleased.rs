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

use crate::entity::key::Key;

/// Beyond this many held keys, kinds are held as a whole.
const MOST_KEYS: usize = 100_000;

/// The held keys, with how many writes hold each.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Zero in the normal case, which then costs one load.
    count: AtomicUsize,
    keys: Mutex<HashMap<Key, u32>>,
    /// Kinds held as a whole, as the beginning of their keys, with how many
    /// writes asked for it.
    kinds: Mutex<HashMap<String, u64>>,
}

impl Held {
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && (self.keys.lock().contains_key(key)
                || self
                    .kinds
                    .lock()
                    .keys()
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
        let writes = kinds.entry(prefix.to_owned()).or_default();
        *writes += 1;
        let new = *writes == 1;
        if new {
            self.count.fetch_add(1, Ordering::AcqRel);
        }
        new
    }

    /// How many writes hold a kind; to be asked before Redis is made to
    /// forget it, for [`Held::let_kind_go`].
    pub(crate) fn holders_of_kind(&self, prefix: &str) -> u64 {
        self.kinds.lock().get(prefix).copied().unwrap_or(0)
    }

    /// Ends the holding of a kind that Redis has forgotten for the first
    /// `holders` writes; false if one came later, for which it must forget
    /// the kind once more.
    pub(crate) fn let_kind_go(&self, prefix: &str, holders: u64) -> bool {
        let mut kinds = self.kinds.lock();
        let now = kinds.get(prefix).copied().unwrap_or(0);
        if now == holders && kinds.remove(prefix).is_some() {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        now == holders
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
        assert!(held.let_kind_go("hero:", held.holders_of_kind("hero:")));
        assert!(!held.contains(&Key::new("hero:1")));
    }

    #[test]
    fn a_kind_stays_held_for_a_write_that_came_while_redis_forgot_it() {
        let held = Held::default();
        held.hold_kind("hero:");
        let holders = held.holders_of_kind("hero:");
        held.hold_kind("hero:");
        assert!(!held.let_kind_go("hero:", holders));
        assert!(held.contains(&Key::new("hero:1")));
        assert!(held.let_kind_go("hero:", holders + 1));
        assert_eq!(held.len(), 0);
    }
}
