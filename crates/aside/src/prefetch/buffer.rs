//! The buffer: a ring of rows that were fetched on a guess (stream buffers).
//!
//! It lies beside the local store, and a read looks here only after the store had
//! nothing. So a hit costs nothing more, a wrong guess evicts nothing, and how many
//! guesses were right is known exactly: taken out, or pushed out by later ones.

use std::any::Any;
use std::collections::{HashMap, VecDeque};

use crate::entity::key::Key;
use crate::runtime::clock::Moment;
use crate::trust::generations::Stamp;

/// The size of a place beyond its key and its row.
const OVERHEAD_BYTES: usize = 256;

/// One place of the ring.
pub(super) struct Held {
    number: u32,
    pub(super) key: Key,
    /// The number of its kind.
    pub(super) kind: u8,
    pub(super) has_marker: bool,
    /// `None` if only the name was guessed.
    pub(super) row: Option<Buffered>,
}

/// A row, and the conditions under which it may be served.
pub(super) struct Buffered {
    /// An `Entry` of the kind.
    pub(super) entry: Box<dyn Any + Send>,
    pub(super) stamp: Stamp,
    pub(super) epoch: u64,
    pub(super) deadline: Moment,
    pub(super) payload_bytes: usize,
}

impl Held {
    pub(super) fn new(key: Key, kind: u8, has_marker: bool, row: Option<Buffered>) -> Self {
        Self {
            number: 0,
            key,
            kind,
            has_marker,
            row,
        }
    }

    fn bytes(&self) -> usize {
        let payload = self.row.as_ref().map_or(0, |row| row.payload_bytes);
        OVERHEAD_BYTES + self.key.as_str().len() + payload
    }
}

pub(super) struct Buffer {
    held: HashMap<u64, Held, foldhash::fast::RandomState>,
    /// Hashes and numbers, the oldest first; those of places taken out remain.
    order: VecDeque<(u64, u32)>,
    next: u32,
    bytes: usize,
    max_rows: usize,
    max_bytes: usize,
}

impl Buffer {
    pub(super) fn new(max_rows: usize, max_bytes: usize) -> Self {
        Self {
            held: HashMap::default(),
            order: VecDeque::new(),
            next: 0,
            bytes: 0,
            max_rows,
            max_bytes,
        }
    }

    pub(super) fn max_rows(&self) -> usize {
        self.max_rows
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Held> {
        let held = self.held.get(&key.hash())?;
        (held.key == *key).then_some(held)
    }

    /// Takes a place out.
    pub(super) fn take(&mut self, key: &Key) -> Option<Held> {
        self.get(key)?;
        self.remove(key.hash())
    }

    fn remove(&mut self, hash: u64) -> Option<Held> {
        let held = self.held.remove(&hash)?;
        self.bytes -= held.bytes();
        Some(held)
    }

    /// Puts a place in. Calls `out` with each that is pushed out.
    pub(super) fn put(&mut self, mut held: Held, mut out: impl FnMut(Held)) {
        let hash = held.key.hash();
        let _ = self.remove(hash);
        while self.max_rows <= self.held.len() || self.is_full_with(&held) {
            let Some((oldest, number)) = self.order.pop_front() else {
                return;
            };
            if self.held.get(&oldest).is_some_and(|it| it.number == number) {
                self.remove(oldest).into_iter().for_each(&mut out);
            }
        }
        self.next = self.next.wrapping_add(1);
        held.number = self.next;
        self.bytes += held.bytes();
        self.order.push_back((hash, held.number));
        self.held.insert(hash, held);
        if 2 * self.max_rows < self.order.len() {
            let held = &self.held;
            let is_there = |it: &Held, number| it.number == number;
            self.order
                .retain(|(hash, number)| held.get(hash).is_some_and(|it| is_there(it, *number)));
        }
    }

    fn is_full_with(&self, held: &Held) -> bool {
        self.max_bytes < self.bytes + held.bytes()
    }

    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.order.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> Held {
        Held::new(Key::new(key), 0, false, None)
    }

    /// Puts names, and returns those pushed out.
    fn put(buffer: &mut Buffer, keys: &[&str]) -> Vec<String> {
        let mut out = Vec::new();
        for key in keys {
            buffer.put(name(key), |held| out.push(held.key.as_str().to_owned()));
        }
        out
    }

    #[test]
    fn a_full_ring_pushes_the_oldest_out() {
        let mut buffer = Buffer::new(3, usize::MAX);
        assert_eq!(put(&mut buffer, &["a", "b", "c", "d", "e"]), ["a", "b"]);
        assert!(buffer.take(&Key::new("d")).is_some());
        assert!(buffer.take(&Key::new("d")).is_none());
        assert!(put(&mut buffer, &["f"]).is_empty(), "a place was taken out");
        assert_eq!(put(&mut buffer, &["g"]), ["c"]);
    }

    #[test]
    fn a_key_that_is_put_again_is_the_newest() {
        let mut buffer = Buffer::new(2, usize::MAX);
        assert_eq!(put(&mut buffer, &["a", "b", "a", "c"]), ["b"]);
        assert_eq!(buffer.len(), 2);
    }

    #[test]
    fn bytes_are_bounded() {
        let mut buffer = Buffer::new(1_000, 4 * (OVERHEAD_BYTES + 1));
        let out = put(&mut buffer, &["a", "b", "c", "d", "e", "f"]);
        assert_eq!(out, ["a", "b"]);
        buffer.clear();
        assert_eq!((buffer.len(), buffer.bytes), (0, 0));
    }

    #[test]
    fn the_order_does_not_grow_with_places_taken_out() {
        let mut buffer = Buffer::new(4, usize::MAX);
        for _ in 0..1_000 {
            put(&mut buffer, &["a"]);
            buffer.take(&Key::new("a"));
        }
        assert!(buffer.order.len() <= 9, "{}", buffer.order.len());
    }
}
