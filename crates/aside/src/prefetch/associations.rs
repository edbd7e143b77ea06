//! Declared associations, and how often the keys that they name are read.
//!
//! A declaration is a guess of its author. So the keys that it names are remembered
//! first, and fetched once most of them were read. The keys that all rows of a list name
//! are a second association (siblings). It begins with fetching, because a caller has
//! already read two of them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::runtime::clock::Moment;

/// The number of the latest keys by which an association is judged.
const JUDGED: usize = 64;

/// An association is fetched from this number of read keys on, and no longer below the
/// other one.
const BEGIN: usize = JUDGED * 4 / 5;
const END: usize = JUDGED / 2;

/// A key that was not read for this time, or while so many others were named, was named
/// in vain.
const GRACE: Duration = Duration::from_secs(1);
const MAX_WAITING: usize = 512;

/// The names of an association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The number of the kind whose rows name keys.
    pub(super) from: u8,
    /// The number of the kind of the keys.
    pub(super) to: u8,
    /// The index of a list; empty for a row.
    pub(super) index: String,
    pub(super) of_siblings: bool,
}

/// Keys that rows of a kind name, as [`CacheStrategy::follow`](crate::CacheStrategy::follow)
/// declares.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PrefetchAssociation {
    /// The kind whose rows name keys.
    pub from: &'static str,
    /// The kind of these keys.
    pub to: &'static str,
    /// The index of lists; `None` for rows.
    pub index: Option<String>,
    /// True for the keys that all rows of a list name, after two of them were read.
    pub of_siblings: bool,
    /// The share of the last 64 keys that were read within a second; `None` before so many were
    /// named.
    pub precision: Option<f64>,
    /// True if these keys are fetched. It begins at a precision of 0.8, and ends below
    /// 0.5.
    pub is_fetched: bool,
}

struct Named {
    hash: u64,
    at: Moment,
    was_read: bool,
}

pub(super) struct Association {
    pub(super) name: Name,
    /// Keys that are not judged yet, in their order.
    waiting: VecDeque<Named>,
    /// True for a key that was read.
    judged: VecDeque<bool>,
    /// True if its keys are fetched.
    pub(super) is_fetched: bool,
}

impl Association {
    fn new(name: Name) -> Self {
        Self {
            waiting: VecDeque::new(),
            judged: VecDeque::new(),
            is_fetched: name.of_siblings,
            name,
        }
    }

    /// Remembers that a row has named this key.
    pub(super) fn named(&mut self, hash: u64, now: Moment) {
        self.judge(now);
        if self.waiting.iter().all(|it| it.hash != hash) {
            self.waiting.push_back(Named {
                hash,
                at: now,
                was_read: false,
            });
        }
    }

    /// Judges keys in their order, so that those in vain count as soon as the read ones.
    fn judge(&mut self, now: Moment) {
        while let Some(first) = self.waiting.front() {
            let is_late = GRACE <= now.since(first.at) || MAX_WAITING <= self.waiting.len();
            if !first.was_read && !is_late {
                break;
            }
            if self.judged.len() == JUDGED {
                self.judged.pop_front();
            }
            self.judged.push_back(first.was_read);
            self.waiting.pop_front();
        }
        match self.read_keys() {
            Some(read) if BEGIN <= read => self.is_fetched = true,
            Some(read) if read < END => self.is_fetched = false,
            _ => {}
        }
    }

    fn read(&mut self, hash: u64) {
        let mut waiting = self.waiting.iter_mut();
        if let Some(named) = waiting.find(|named| named.hash == hash) {
            named.was_read = true;
        }
    }

    /// Returns how many of the judged keys were read; `None` before there are enough.
    fn read_keys(&self) -> Option<usize> {
        let read = || self.judged.iter().filter(|was_read| **was_read).count();
        (self.judged.len() == JUDGED).then(read)
    }

    /// Returns the share of keys that were read, of those that are judged.
    pub(super) fn precision(&self) -> Option<f64> {
        self.read_keys().map(|read| read as f64 / JUDGED as f64)
    }
}

/// All associations of a service.
#[derive(Default)]
pub(super) struct Associations(Vec<Association>);

impl Associations {
    pub(super) fn all(&self) -> &[Association] {
        &self.0
    }

    /// Returns the association of this name, a new one if there is none.
    pub(super) fn of(&mut self, name: &Name) -> &mut Association {
        let at = self.0.iter().position(|known| known.name == *name);
        let at = at.unwrap_or_else(|| {
            self.0.push(Association::new(name.clone()));
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Records that a key of a kind was read.
    pub(super) fn read(&mut self, kind: u8, hash: u64) {
        let of_kind = self.0.iter_mut().filter(|it| it.name.to == kind);
        of_kind.for_each(|association| association.read(hash));
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    fn name(of_siblings: bool) -> Name {
        Name {
            from: 0,
            to: 1,
            index: String::new(),
            of_siblings,
        }
    }

    /// Names keys, a hundred per second, and reads those that `is_read` returns true for.
    fn go(all: &mut Associations, keys: Range<u64>, is_read: impl Fn(u64) -> bool) {
        let siblings = keys.end > 10_000;
        for key in keys {
            let now = Moment::from_millis(10 * key);
            all.of(&name(siblings)).named(key, now);
            if is_read(key) {
                all.read(1, key);
            }
        }
    }

    #[test]
    fn an_association_is_fetched_after_most_of_its_keys_were_read() {
        let mut all = Associations::default();
        go(&mut all, 0..64, |key| key % 10 != 5);
        assert!(!all.of(&name(false)).is_fetched, "too few are known");
        assert_eq!(all.of(&name(false)).precision(), None);
        go(&mut all, 64..300, |key| key % 10 != 5);
        assert!(all.of(&name(false)).is_fetched);
        assert!(Some(0.8) < all.of(&name(false)).precision());
    }

    #[test]
    fn an_association_is_not_fetched_after_most_of_its_keys_were_in_vain() {
        let mut all = Associations::default();
        assert!(
            all.of(&name(true)).is_fetched,
            "siblings begin with fetching"
        );
        go(&mut all, 10_000..10_300, |_| false);
        assert!(!all.of(&name(true)).is_fetched);
        go(&mut all, 10_300..10_600, |_| true);
        assert!(all.of(&name(true)).is_fetched);
        go(&mut all, 10_600..10_900, |key| key % 3 != 0);
        assert!(
            all.of(&name(true)).is_fetched,
            "two in three suffice to go on"
        );
    }

    #[test]
    fn many_keys_named_at_once_are_not_in_vain_before_there_was_time_to_read_them() {
        let (mut all, now) = (Associations::default(), Moment::from_millis(0));
        for key in 0..400 {
            all.of(&name(true)).named(key, now);
        }
        assert_eq!(all.of(&name(true)).precision(), None);
        assert!(all.of(&name(true)).is_fetched);
        for key in 400..2_000 {
            all.of(&name(true)).named(key, now);
        }
        assert!(!all.of(&name(true)).is_fetched, "too many wait");
    }

    #[test]
    fn a_key_of_another_kind_is_not_counted() {
        let mut all = Associations::default();
        for key in 0..300 {
            all.of(&name(false))
                .named(key, Moment::from_millis(10 * key));
            all.read(2, key);
        }
        assert_eq!(all.of(&name(false)).precision(), Some(0.0));
    }

    #[test]
    fn a_key_named_again_before_it_is_read_counts_once() {
        let mut all = Associations::default();
        for _ in 0..1_000 {
            all.of(&name(false)).named(7, Moment::from_millis(1));
        }
        assert_eq!(all.of(&name(false)).waiting.len(), 1);
    }
}
