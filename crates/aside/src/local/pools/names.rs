//! Names of entries that left a pool (a ghost list), to learn what more memory
//! would save.

use std::collections::{HashMap, VecDeque};

use crate::local::key::PassThroughHasher;

/// The most names that are kept. Beyond it, every other name is passed over.
const MAX_NAMES: usize = 8192;

/// The names of the last entries that left, up to a number of bytes.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<u64, Name, PassThroughHasher>,
    /// The names in the order in which they left, with their numbers.
    order: VecDeque<(u64, u64)>,
    last: u64,
    bytes: u64,
    /// One of two to this power is kept.
    halvings: u32,
}

struct Name {
    number: u64,
    bytes: u64,
}

impl Names {
    /// Adds a name, and removes the oldest beyond `limit` bytes.
    pub(super) fn push(&mut self, hash: u64, bytes: u64, limit: u64) {
        if !self.is_kept(hash) {
            return;
        }
        self.take(hash);
        self.last += 1;
        let number = self.last;
        self.known.insert(hash, Name { number, bytes });
        self.order.push_back((hash, number));
        self.bytes += bytes;
        while limit < self.bytes << self.halvings {
            let Some((hash, number)) = self.order.pop_front() else {
                break;
            };
            if self
                .known
                .get(&hash)
                .is_some_and(|name| name.number == number)
            {
                self.take(hash);
            }
        }
        if MAX_NAMES < self.known.len() {
            self.halve();
        }
        // Names that came back leave their places behind.
        if 2 * MAX_NAMES < self.order.len() {
            let known = &self.known;
            let is_known = |(hash, number): &(u64, u64)| {
                known.get(hash).is_some_and(|name| name.number == *number)
            };
            self.order.retain(is_known);
        }
    }

    /// Removes a name, and returns how many names it stands for; zero if it is
    /// not known.
    pub(super) fn take(&mut self, hash: u64) -> u64 {
        match self.known.remove(&hash) {
            Some(name) => {
                self.bytes -= name.bytes;
                1 << self.halvings
            }
            None => 0,
        }
    }

    /// Uses other bits than the choice of the shard and the search in it.
    fn is_kept(&self, hash: u64) -> bool {
        (hash >> 40) & ((1 << self.halvings) - 1) == 0
    }

    fn halve(&mut self) {
        self.halvings = (self.halvings + 1).min(16);
        let dropped: Vec<u64> = self.known.keys().copied().collect();
        for hash in dropped {
            if !self.is_kept(hash) {
                self.take(hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> u64 {
        number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn the_oldest_names_are_dropped_first() {
        let mut names = Names::default();
        for number in 0..20 {
            names.push(hash(number), 10, 100);
        }
        assert_eq!(names.take(hash(9)), 0);
        assert_eq!(names.take(hash(10)), 1);
        assert_eq!(names.take(hash(10)), 0);
    }

    #[test]
    fn a_sample_of_names_stands_for_all() {
        let mut names = Names::default();
        for number in 0..100_000 {
            names.push(hash(number), 1, 50_000);
        }
        assert!(names.order.len() <= 2 * MAX_NAMES);
        let found: u64 = (0..100_000).map(|number| names.take(hash(number))).sum();
        assert!((47_000..53_000).contains(&found), "{found}");
        assert_eq!(names.bytes, 0);
    }
}
