//! Writes to be confirmed: their keys were released, and no later proof of the
//! server has arrived yet.
//!
//! Failover. A deposed primary that does not know of its successor acknowledges
//! a whole write, while a reader fills the old row at the successor. Nothing
//! at the successor tells of the write. So the keys of a write are remembered
//! until a proof that was sent after its RELEASE. If the server's history
//! changes first, they are released again, at the successor.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

use crate::entity::key::Key;
use crate::runtime::clock::Moment;

/// Beyond this many keys their kinds are remembered, about two megabytes.
const MAX_KEYS: usize = 10_000;

/// The keys and kinds of unconfirmed writes.
#[derive(Debug, Default)]
pub(crate) struct Confirming(Mutex<Released>);

#[derive(Debug, Default)]
struct Released {
    /// In the order of their releases.
    keys: VecDeque<(Moment, Key)>,
    /// With the last release of each.
    kinds: BTreeMap<&'static str, Moment>,
}

/// The keys and kinds to invalidate after a change of the server's history.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unconfirmed {
    pub(crate) keys: Vec<Key>,
    pub(crate) kinds: Vec<&'static str>,
}

impl Confirming {
    /// Adds a key whose release was acknowledged, if `is_same` returns true:
    /// the server is still in the history that the release was sent to.
    ///
    /// A key of a kind that is not cached here is always remembered itself.
    /// Only an acknowledged release adds one, so a server without proofs adds
    /// none, and their number stays bounded.
    pub(super) fn add(
        &self,
        key: &Key,
        kind: impl FnOnce() -> Option<&'static str>,
        is_same: impl FnOnce() -> bool,
    ) -> bool {
        let now = Moment::now();
        let mut released = self.0.lock();
        // Under the lock: `take` follows a change of the history, so either it
        // finds this key or this check finds the change.
        if !is_same() {
            return false;
        }
        let is_full = MAX_KEYS <= released.keys.len();
        match is_full.then(kind).flatten() {
            Some(kind) => {
                released.kinds.insert(kind, now);
            }
            None => released.keys.push_back((now, key.clone())),
        }
        true
    }

    /// Removes releases from before `proved`: the date of a proof of the
    /// server.
    pub(crate) fn confirm(&self, proved: Moment) {
        let mut released = self.0.lock();
        // Strictly before, because the clock is coarse: within one of its ticks
        // the order is unknown.
        while released.keys.front().is_some_and(|(at, _)| *at < proved) {
            released.keys.pop_front();
        }
        released.kinds.retain(|_, at| proved <= *at);
    }

    /// Takes the keys that are `moved`, and all kinds.
    pub(super) fn take_moved(&self, moved: impl Fn(&Key) -> bool) -> Unconfirmed {
        let mut released = self.0.lock();
        let (gone, kept) = std::mem::take(&mut released.keys)
            .into_iter()
            .partition(|(_, key)| moved(key));
        released.keys = kept;
        let gone: VecDeque<(Moment, Key)> = gone;
        Unconfirmed {
            keys: gone.into_iter().map(|(_, key)| key).collect(),
            kinds: std::mem::take(&mut released.kinds).into_keys().collect(),
        }
    }

    /// Takes all, because the server that acknowledged them may have been
    /// replaced before.
    pub(super) fn take(&self) -> Unconfirmed {
        let released = std::mem::take(&mut *self.0.lock());
        Unconfirmed {
            keys: released.keys.into_iter().map(|(_, key)| key).collect(),
            kinds: released.kinds.into_keys().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(number: usize) -> Key {
        Key::new(&format!("hero:{number}"))
    }

    fn add(confirming: &Confirming, number: usize) {
        assert!(confirming.add(&key(number), || Some("hero"), || true));
    }

    #[test]
    fn a_release_of_an_earlier_history_is_not_remembered() {
        let confirming = Confirming::default();
        assert!(!confirming.add(&key(1), || Some("hero"), || false));
        assert_eq!(confirming.take(), Unconfirmed::default());
    }

    #[test]
    fn only_a_later_proof_confirms_a_write() {
        let confirming = Confirming::default();
        add(&confirming, 1);
        let now = Moment::now();
        confirming.confirm(Moment::from_millis(now.millis() - 100));
        assert_eq!(confirming.take().keys, [key(1)]);

        add(&confirming, 2);
        confirming.confirm(Moment::now().plus(Duration::from_millis(1)));
        assert_eq!(confirming.take(), Unconfirmed::default());
    }

    #[test]
    fn too_many_keys_are_remembered_by_their_kinds() {
        let confirming = Confirming::default();
        for number in 0..MAX_KEYS + 2 {
            add(&confirming, number);
        }
        let left = confirming.take();
        assert_eq!((left.keys.len(), left.kinds), (MAX_KEYS, vec!["hero"]));
    }
}
