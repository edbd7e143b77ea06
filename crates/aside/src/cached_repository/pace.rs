//! The pace of a warm-up, by the response time of the database.

use std::time::Duration;

/// After so many batches in time another one may run beside them.
const BATCHES_PER_STEP: usize = 8;

/// How many batches may run at once: additive increase, multiplicative decrease.
#[derive(Debug)]
pub(super) struct Pace {
    allowed: usize,
    most: usize,
    /// Batches in time since the last change.
    in_time: usize,
    /// The shortest time of a batch.
    least: Option<Duration>,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        Self {
            allowed: 1,
            most: most.max(1),
            in_time: 0,
            least: None,
        }
    }

    /// Returns how many batches may run now.
    pub(super) fn allowed(&self) -> usize {
        self.allowed
    }

    /// Records the time of a batch.
    pub(super) fn took(&mut self, time: Duration) {
        let least = self.least.map_or(time, |least| least.min(time));
        self.least = Some(least);
        if least + least / 2 < time {
            (self.allowed, self.in_time) = ((self.allowed / 2).max(1), 0);
            return;
        }
        self.in_time += 1;
        if self.in_time == BATCHES_PER_STEP {
            (self.allowed, self.in_time) = ((self.allowed + 1).min(self.most), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(10);

    fn after(batches: usize, most: usize) -> Pace {
        let mut pace = Pace::new(most);
        for _ in 0..batches {
            pace.took(QUICK);
        }
        pace
    }

    #[test]
    fn a_quick_database_gets_more_batches_at_once() {
        assert_eq!(after(7, 32).allowed(), 1);
        assert_eq!(after(8, 32).allowed(), 2);
        assert_eq!(after(24, 32).allowed(), 4);
        assert_eq!(after(1_000, 32).allowed(), 32);
    }

    #[test]
    fn a_slow_batch_halves_their_number() {
        let mut pace = after(56, 32);
        assert_eq!(pace.allowed(), 8);
        pace.took(QUICK * 3 / 2);
        assert_eq!(pace.allowed(), 8);
        pace.took(QUICK * 2);
        assert_eq!(pace.allowed(), 4);
        for _ in 0..3 {
            pace.took(QUICK * 2);
        }
        assert_eq!(pace.allowed(), 1);
    }
}
