//! The border between rows and lists.

use std::time::Duration;

use super::Part;
use super::names::Names;

/// The part of the memory that lists begin with.
const FIRST: f64 = 0.25;

/// The smallest and the largest part of lists.
const BOUNDS: (f64, f64) = (0.05, 0.95);

/// The part of the memory of which each pool remembers what left it.
const REMEMBERED: u64 = 8;

/// After so many misses the border moves.
const MISSES_PER_MOVE: u64 = 10_000;

/// The largest move, as a part of the memory.
const MAX_MOVE: f64 = 0.05;

/// Moves towards the pool in which more memory would have saved more time.
pub(super) struct Border {
    lists: f64,
    misses: u64,
    sides: [Side; 2],
}

/// One pool.
#[derive(Default)]
struct Side {
    left: Names,
    /// The time of misses whose entry had left, in seconds.
    lost: f64,
}

impl Default for Border {
    fn default() -> Self {
        Self {
            lists: FIRST,
            misses: 0,
            sides: Default::default(),
        }
    }
}

impl Border {
    /// Returns the part of the memory for lists.
    pub(super) fn lists(&self) -> f64 {
        self.lists
    }

    /// Records that an entry of this size left its pool and could still have been
    /// served.
    pub(super) fn left(&mut self, part: Part, seat: usize, hash: u64, bytes: u64, capacity: u64) {
        let side = &mut self.sides[part as usize];
        side.left
            .push(name(seat, hash), bytes, capacity / REMEMBERED);
    }

    /// Records a miss, and how long it took.
    pub(super) fn missed(&mut self, part: Part, seat: usize, hash: u64, took: Duration) {
        let side = &mut self.sides[part as usize];
        side.lost += side.left.take(name(seat, hash)) as f64 * took.as_secs_f64();
        self.misses += 1;
        if self.misses.is_multiple_of(MISSES_PER_MOVE) {
            self.shift();
        }
    }

    fn shift(&mut self) {
        let [rows, lists] =
            Part::ALL.map(|part| std::mem::take(&mut self.sides[part as usize].lost));
        if rows + lists > 0.0 {
            let moved = self.lists + MAX_MOVE * (lists - rows) / (lists + rows);
            self.lists = moved.clamp(BOUNDS.0, BOUNDS.1);
        }
    }
}

/// Returns the hash of a name among all kinds.
pub(super) fn name(seat: usize, hash: u64) -> u64 {
    hash ^ (seat as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_moves_towards_the_pool_that_lost_more_time() {
        let mut border = Border::default();
        let capacity = 8_000_000;
        for hash in 0..MISSES_PER_MOVE {
            border.left(Part::Lists, 0, hash, 1, capacity);
            border.missed(Part::Lists, 0, hash, Duration::from_millis(15));
        }
        assert_eq!(border.lists(), FIRST + MAX_MOVE);
        for _ in 0..20 * MISSES_PER_MOVE {
            border.left(Part::Rows, 0, 7, 1, capacity);
            border.missed(Part::Rows, 0, 7, Duration::from_millis(1));
        }
        assert_eq!(border.lists(), BOUNDS.0);
    }
}
