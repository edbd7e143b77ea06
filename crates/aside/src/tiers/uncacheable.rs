//! Hit-for-pass: keys whose value cannot be cached, remembered for a while.
//!
//! A fill that fails costs more than no cache: a GET, an ACQUIRE, an encoding
//! and an ABANDON, and every other instance waits for a lease that brings no
//! value. So the first load that fails calls [`Uncacheable::remember`]. From
//! then on, reads of the key go directly to the database, concurrently, without
//! Redis or a flight.
//!
//! The next write of the key ends this, because the entry carries the key's
//! generation and a write increments that on every instance. After
//! [`PASSED_FOR`], one of the reads also checks if the value can be cached now.
//!
//! A mark in Redis, to inform other instances, was rejected: it would be a
//! fourth state of a key, and save each instance one load.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::answer::Bypass;
use crate::entity::key::Key;
use crate::runtime::clock::Moment;
use crate::trust::generations::{Generations, Stamp};

/// How long a key bypasses the cache before its value is tried again. A try
/// costs at most one operation timeout (250 ms), 2.5 % of that.
const PASSED_FOR: Duration = Duration::from_secs(10);

/// The maximum number of remembered keys, about half a megabyte. Beyond it
/// another key is dropped, and its next load finds out again.
const MAX_KEYS: usize = 8_192;

/// The reason why a value cannot be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its strategy gives it no time to live, as for absences.
    Strategy,
    TooLarge,
    /// Its codec fails or panics.
    Unencodable,
    /// Its codec does not decode its own text.
    Unreadable,
    /// A row changes in the round trip through its text.
    Lossy,
    /// A row has another id or value than requested.
    Misplaced,
    /// A write of a row under another name may end it.
    Unsure,
    /// Sending it takes longer than an operation may take.
    TooSlow,
}

impl Why {
    /// Returns the bypass that reads report.
    pub(crate) fn bypass(self) -> Bypass {
        match self {
            Self::TooLarge => Bypass::TooLarge,
            Self::Strategy
            | Self::Unencodable
            | Self::Unreadable
            | Self::Lossy
            | Self::Misplaced
            | Self::Unsure
            | Self::TooSlow => Bypass::NotCacheable,
        }
    }

    /// Returns its label as an error, unless the strategy asked for it.
    pub(crate) fn label(self) -> Option<&'static str> {
        match self {
            Self::Strategy | Self::Unsure => None,
            Self::TooLarge | Self::Unencodable | Self::Unreadable | Self::TooSlow => {
                Some("not_cacheable")
            }
            Self::Lossy => Some("lossy_row"),
            Self::Misplaced => Some("misplaced_value"),
        }
    }

    /// Returns the reason in words, for the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Strategy => "its strategy gives it no time to live",
            Self::TooLarge => "it is too large",
            Self::Unencodable => "its codec cannot encode it",
            Self::Unreadable => "its codec does not decode its own text",
            Self::Lossy => "a row changes in a round trip through its text",
            Self::Misplaced => "a row has another id or value than requested",
            Self::Unsure => "a write under another spelling may end it",
            Self::TooSlow => "sending it takes too long",
        }
    }
}

/// The information about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) why: Why,
    /// True if this read must try the value again; set for one reader.
    pub(crate) is_due: bool,
}

struct Entry {
    why: Why,
    stamp: Stamp,
    /// When the value is to be tried again.
    due: Moment,
}

/// The keys known to be uncacheable.
pub(crate) struct Uncacheable {
    generations: Arc<Generations>,
    entries: Mutex<BTreeMap<u64, Entry>>,
    /// The number of keys. If it is zero, a read checks nothing else.
    count: AtomicUsize,
}

impl Uncacheable {
    pub(crate) fn new(generations: Arc<Generations>) -> Self {
        Self {
            generations,
            entries: Mutex::default(),
            count: AtomicUsize::new(0),
        }
    }

    /// Remembers that the value of `key` cannot be cached, according to a load
    /// that began under `stamp`. `ttl` is the strategy's: nothing is remembered
    /// longer without another try.
    ///
    /// Also invalidates the local entry of the key, because a read that
    /// bypasses it may return a newer row. So these reads need not invalidate
    /// it each time.
    pub(crate) fn remember(&self, key: &Key, why: Why, stamp: Stamp, ttl: Duration) {
        let Some(stamp) = self.generations.renew(stamp) else {
            // The key was written in between, and its value may differ now.
            self.generations.invalidate(key.hash());
            return;
        };
        let now = Moment::now();
        let mut entries = self.entries.lock();
        if MAX_KEYS <= entries.len() {
            entries.retain(|_, entry| now < entry.due && self.generations.is_current(entry.stamp));
            if MAX_KEYS <= entries.len() {
                entries.pop_first();
            }
        }
        let due = now.plus(PASSED_FOR.min(ttl));
        entries.insert(key.hash(), Entry { why, stamp, due });
        self.count.store(entries.len(), Ordering::Release);
    }

    /// Returns the information about `key`, if any.
    #[inline]
    pub(crate) fn known(&self, key: &Key) -> Option<Known> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.look_up(key)
    }

    #[cold]
    fn look_up(&self, key: &Key) -> Option<Known> {
        let now = Moment::now();
        let mut entries = self.entries.lock();
        let entry = entries.get_mut(&key.hash())?;
        if !self.generations.is_current(entry.stamp) {
            entries.remove(&key.hash());
            self.count.store(entries.len(), Ordering::Release);
            return None;
        }
        let is_due = entry.due <= now;
        if is_due {
            // The other readers continue to bypass the cache meanwhile.
            entry.due = now.plus(PASSED_FOR);
        }
        let why = entry.why;
        Some(Known { why, is_due })
    }

    /// Returns true if `key` is known to be uncacheable.
    pub(crate) fn is_known(&self, key: &Key) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let entries = self.entries.lock();
        let entry = entries.get(&key.hash());
        entry.is_some_and(|entry| self.generations.is_current(entry.stamp))
    }

    /// Records that the value of `key` can be cached again.
    pub(crate) fn forget(&self, key: &Key) {
        let mut entries = self.entries.lock();
        entries.remove(&key.hash());
        self.count.store(entries.len(), Ordering::Release);
    }
}

impl fmt::Debug for Uncacheable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Uncacheable")
            .field("keys", &self.count.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> (Arc<Generations>, Uncacheable) {
        let generations = Arc::new(Generations::of_memory());
        (Arc::clone(&generations), Uncacheable::new(generations))
    }

    fn key(number: usize) -> Key {
        Key::new(&format!("hero:{number}"))
    }

    const TTL: Duration = Duration::from_secs(3600);

    #[test]
    fn a_key_is_known_until_it_is_written() {
        let (generations, uncacheable) = known();
        let stamp = generations.stamp(key(1).hash(), 0);
        uncacheable.remember(&key(1), Why::TooLarge, stamp, TTL);
        let why = uncacheable.known(&key(1)).map(|known| known.why);
        assert_eq!(why, Some(Why::TooLarge));
        assert_eq!(uncacheable.known(&key(2)), None);
        generations.invalidate(key(1).hash());
        assert_eq!(uncacheable.known(&key(1)), None);
    }

    #[test]
    fn a_load_older_than_a_write_is_ignored() {
        let (generations, uncacheable) = known();
        let stamp = generations.stamp(key(1).hash(), 0);
        generations.invalidate(key(1).hash());
        uncacheable.remember(&key(1), Why::TooLarge, stamp, TTL);
        assert_eq!(uncacheable.known(&key(1)), None);
    }

    #[test]
    fn one_reader_tries_again_after_the_time() {
        let (generations, uncacheable) = known();
        let stamp = generations.stamp(key(1).hash(), 0);
        uncacheable.remember(&key(1), Why::TooSlow, stamp, Duration::ZERO);
        let due: Vec<bool> = (0..3)
            .filter_map(|_| uncacheable.known(&key(1)))
            .map(|known| known.is_due)
            .collect();
        assert_eq!(due, [true, false, false]);
    }

    #[test]
    fn the_number_of_keys_is_bounded() {
        let (generations, uncacheable) = known();
        for number in 0..2 * MAX_KEYS {
            let stamp = generations.stamp(key(number).hash(), 0);
            uncacheable.remember(&key(number), Why::TooLarge, stamp, TTL);
        }
        assert!(uncacheable.entries.lock().len() <= MAX_KEYS);
    }
}
