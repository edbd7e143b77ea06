//! Keys whose value cannot be cached, remembered for a while (hit-for-pass).
//!
//! A key that is filled in vain costs more than no cache: a GET, an ACQUIRE, an
//! encoding, an ABANDON, and every other instance waits for a lease that brings
//! no value. So the first load that finds it out calls [`Uncacheable::remember`].
//! Until that ends, reads of the key go to the database at once, side by side,
//! and ask neither Redis nor a flight.
//!
//! It ends with the next write of the key, since the entry is stamped with the
//! key's generation, and a write raises that on every instance. It is looked at
//! again after [`PASSED_FOR`]: one of the reads then also tries whether its value
//! could be cached by now.
//!
//! Refused: a mark in Redis, so that an instance learns it from another. It would
//! be a fourth state of a key, and saves each instance one load.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::answer::Bypass;
use crate::entity::key::Key;
use crate::runtime::clock::Moment;
use crate::trust::generations::{Stamp, Stripes};

/// How long a key is passed by before its value is tried again. A try costs up to
/// one deadline of an operation (250 ms), which is 2.5 % of it.
const PASSED_FOR: Duration = Duration::from_secs(10);

/// The most keys that are remembered, about half a megabyte. Beyond that another
/// key is forgotten, and found out again by its next load.
const MOST: usize = 8_192;

/// Why a value cannot be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its strategy keeps it for no time, such as absences.
    Strategy,
    TooLarge,
    /// Its codec fails or panics.
    Unencodable,
    /// What its codec writes is not what it reads.
    Unreadable,
    /// A row in it does not come back from its text as it went.
    Lossy,
    /// A row in it has not the id or the value that was asked for.
    Misplaced,
    /// A row that is written under another name may end it.
    Unsure,
    /// It takes longer to travel than an operation may take.
    TooSlow,
}

impl Why {
    /// How a read says it.
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

    /// The label it is counted under as an error, unless it is as it was asked for.
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

    /// Why, in words for the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Strategy => "its strategy gives it no time to live",
            Self::TooLarge => "it is too large",
            Self::Unencodable => "its codec cannot write it",
            Self::Unreadable => "its codec does not read back what it writes",
            Self::Lossy => "a row does not come back from its text as it went",
            Self::Misplaced => "a row has not the id or the value that was asked for",
            Self::Unsure => "a row that is written under another spelling may end it",
            Self::TooSlow => "it takes too long to travel",
        }
    }
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) why: Why,
    /// Whether this read must try the value again: one of the readers is told so.
    pub(crate) is_due: bool,
}

struct Entry {
    why: Why,
    stamp: Stamp,
    /// When the value is to be tried again.
    due: Moment,
}

/// The keys that are known not to be cacheable.
pub(crate) struct Uncacheable {
    stripes: Arc<Stripes>,
    entries: Mutex<BTreeMap<u64, Entry>>,
    /// How many there are. Reads look at no more where there is none.
    count: AtomicUsize,
}

impl Uncacheable {
    pub(crate) fn new(stripes: Arc<Stripes>) -> Self {
        Self {
            stripes,
            entries: Mutex::default(),
            count: AtomicUsize::new(0),
        }
    }

    /// Remembers that the value of `key` cannot be cached, as far as is known
    /// from a load that began under `stamp`. `ttl` is the strategy's: nothing is
    /// remembered for longer without being tried again.
    ///
    /// Forgets what this process holds under the key: a read that passes it by
    /// may see a newer row. So it need not be forgotten by each of those reads.
    pub(crate) fn remember(&self, key: &Key, why: Why, stamp: Stamp, ttl: Duration) {
        let Some(stamp) = self.stripes.renew(stamp) else {
            // The key was written meanwhile, and may be another by now.
            self.stripes.forget(key.hash());
            return;
        };
        let now = Moment::now();
        let mut entries = self.entries.lock();
        if MOST <= entries.len() {
            entries.retain(|_, entry| now < entry.due && self.stripes.is_current(entry.stamp));
            if MOST <= entries.len() {
                entries.pop_first();
            }
        }
        let due = now.plus(PASSED_FOR.min(ttl));
        entries.insert(key.hash(), Entry { why, stamp, due });
        self.count.store(entries.len(), Ordering::Release);
    }

    /// What is known of `key`, if anything.
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
        if !self.stripes.is_current(entry.stamp) {
            entries.remove(&key.hash());
            self.count.store(entries.len(), Ordering::Release);
            return None;
        }
        let is_due = entry.due <= now;
        if is_due {
            // The others go on meanwhile.
            entry.due = now.plus(PASSED_FOR);
        }
        let why = entry.why;
        Some(Known { why, is_due })
    }

    /// Returns true if `key` is known not to be cacheable.
    pub(crate) fn is_known(&self, key: &Key) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let entries = self.entries.lock();
        let entry = entries.get(&key.hash());
        entry.is_some_and(|entry| self.stripes.is_current(entry.stamp))
    }

    /// The value of `key` can be cached again.
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

    fn known() -> (Arc<Stripes>, Uncacheable) {
        let stripes = Arc::new(Stripes::new());
        (Arc::clone(&stripes), Uncacheable::new(stripes))
    }

    fn key(number: usize) -> Key {
        Key::new(&format!("hero:{number}"))
    }

    const TTL: Duration = Duration::from_secs(3600);

    #[test]
    fn a_key_is_known_until_it_is_written() {
        let (stripes, uncacheable) = known();
        let stamp = stripes.stamp(key(1).hash());
        uncacheable.remember(&key(1), Why::TooLarge, stamp, TTL);
        let why = uncacheable.known(&key(1)).map(|known| known.why);
        assert_eq!(why, Some(Why::TooLarge));
        assert_eq!(uncacheable.known(&key(2)), None);
        stripes.forget(key(1).hash());
        assert_eq!(uncacheable.known(&key(1)), None);
    }

    #[test]
    fn a_load_that_began_before_a_write_teaches_nothing() {
        let (stripes, uncacheable) = known();
        let stamp = stripes.stamp(key(1).hash());
        stripes.forget(key(1).hash());
        uncacheable.remember(&key(1), Why::TooLarge, stamp, TTL);
        assert_eq!(uncacheable.known(&key(1)), None);
    }

    #[test]
    fn one_reader_tries_again_when_the_time_is_over() {
        let (stripes, uncacheable) = known();
        let stamp = stripes.stamp(key(1).hash());
        uncacheable.remember(&key(1), Why::TooSlow, stamp, Duration::ZERO);
        let due: Vec<bool> = (0..3)
            .filter_map(|_| uncacheable.known(&key(1)))
            .map(|known| known.is_due)
            .collect();
        assert_eq!(due, [true, false, false]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (stripes, uncacheable) = known();
        for number in 0..2 * MOST {
            let stamp = stripes.stamp(key(number).hash());
            uncacheable.remember(&key(number), Why::TooLarge, stamp, TTL);
        }
        assert!(uncacheable.entries.lock().len() <= MOST);
    }
}
