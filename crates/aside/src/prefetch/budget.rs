//! The budget of wrong guesses: rows that were fetched and not read.
//!
//! Two controls. The share of visits that a successor needs rises while more than the
//! allowed part of reads costs a wrong guess, and falls while less does. And guesses
//! stop while wrong ones exceed the allowed part of all reads. The buffer takes nothing
//! from the local store, so reads that would have missed stay as many as they were, and
//! the second control bounds the loads.

/// Reads after which the required share is adapted.
const WINDOW: u32 = 256;

/// Reads after which both sums are halved, so that an old debt does not last.
const HALVED_AT: u64 = 100_000;

/// Wrong guesses that are always allowed.
const ALLOWANCE: f64 = 64.0;

/// The required share: its begin, bounds and steps.
const FIRST_SHARE: f32 = 0.5;
const MIN_SHARE: f32 = 0.4;
const MAX_SHARE: f32 = 0.95;
const RAISE: f32 = 0.05;
const LOWER: f32 = 0.02;

pub(super) struct Budget {
    /// The allowed part of reads that cost a wrong guess.
    waste: f64,
    share: f32,
    reads: u64,
    wrong: u64,
    reads_of_window: u32,
    wrong_of_window: u32,
}

impl Budget {
    pub(super) fn new(waste: f64) -> Self {
        Self {
            waste,
            share: FIRST_SHARE,
            reads: 0,
            wrong: 0,
            reads_of_window: 0,
            wrong_of_window: 0,
        }
    }

    /// Returns the share of visits that a successor needs.
    pub(super) fn share(&self) -> f32 {
        self.share
    }

    /// Returns true if no row may be fetched on a guess now.
    pub(super) fn is_spent(&self) -> bool {
        self.waste * self.reads as f64 + ALLOWANCE < self.wrong as f64
    }

    /// Counts a read that would have missed without guesses.
    pub(super) fn read(&mut self) {
        self.reads += 1;
        if HALVED_AT <= self.reads {
            self.reads /= 2;
            self.wrong /= 2;
        }
        self.reads_of_window += 1;
        if WINDOW <= self.reads_of_window {
            self.adapt();
        }
    }

    /// Counts a row that was not read before the buffer was full.
    pub(super) fn wrong(&mut self) {
        self.wrong += 1;
        self.wrong_of_window += 1;
    }

    fn adapt(&mut self) {
        let wrong = f64::from(self.wrong_of_window) / f64::from(self.reads_of_window);
        if 1.1 * self.waste < wrong {
            self.share = (self.share + RAISE).min(MAX_SHARE);
        } else if wrong < 0.9 * self.waste {
            self.share = (self.share - LOWER).max(MIN_SHARE);
        }
        (self.reads_of_window, self.wrong_of_window) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(budget: &mut Budget, count: u32) {
        for _ in 0..count {
            budget.read();
        }
    }

    #[test]
    fn the_share_rises_with_wrong_guesses_and_falls_without() {
        let mut budget = Budget::new(0.05);
        for _ in 0..16 {
            budget.wrong();
        }
        reads(&mut budget, WINDOW);
        assert_eq!(budget.share(), FIRST_SHARE + RAISE);
        reads(&mut budget, WINDOW);
        assert!((budget.share() - FIRST_SHARE - RAISE + LOWER).abs() < 1e-6);
        reads(&mut budget, 100 * WINDOW);
        assert_eq!(budget.share(), MIN_SHARE);
        for _ in 0..100 {
            for _ in 0..99 {
                budget.wrong();
            }
            reads(&mut budget, WINDOW);
        }
        assert_eq!(budget.share(), MAX_SHARE);
    }

    #[test]
    fn guesses_stop_while_too_many_were_wrong() {
        let mut budget = Budget::new(0.05);
        for _ in 0..64 {
            budget.wrong();
        }
        assert!(!budget.is_spent());
        budget.wrong();
        assert!(budget.is_spent());
        reads(&mut budget, 20);
        assert!(!budget.is_spent());
    }

    #[test]
    fn an_old_debt_is_halved() {
        let mut budget = Budget::new(0.05);
        for _ in 0..5_100 {
            budget.wrong();
        }
        assert!(budget.is_spent());
        reads(&mut budget, HALVED_AT as u32);
        assert!(!budget.is_spent());
        assert_eq!((budget.reads, budget.wrong), (HALVED_AT / 2, 2_550));
    }
}
