//! The most events within one second, beside their sum: a herd is seen in that.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::runtime::clock::Moment;

/// The bits of a count, above which the number of its second stands.
const COUNT_BITS: u32 = 24;
const MAX_COUNT: u64 = (1 << COUNT_BITS) - 1;

/// Counts events by the second.
#[derive(Debug, Default)]
pub(crate) struct Bursts {
    /// The present second and its count.
    current: AtomicU64,
    most: AtomicU64,
}

impl Bursts {
    /// Counts an event.
    pub(crate) fn count(&self) {
        self.count_at(Moment::now().millis() / 1000);
    }

    fn count_at(&self, second: u64) {
        let next = |current: u64| {
            let is_same = current >> COUNT_BITS == second;
            let before = if is_same { current & MAX_COUNT } else { 0 };
            second << COUNT_BITS | (before + 1).min(MAX_COUNT)
        };
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        let before = self.current.fetch_update(set, read, |now| Some(next(now)));
        let count = before.map_or(0, next) & MAX_COUNT;
        self.most.fetch_max(count, Ordering::Relaxed);
    }

    /// Returns the most events within one second.
    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_second_is_remembered() {
        let bursts = Bursts::default();
        for second in [1, 2, 2, 2, 3, 3, 9] {
            bursts.count_at(second);
        }
        assert_eq!(bursts.most(), 3);
    }
}
