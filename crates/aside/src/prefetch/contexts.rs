//! The last keys of each context: of a task, or of a request that names itself.
//!
//! Reads of different requests follow each other by accident, so one stream of all
//! reads teaches nothing. A context that has not read for some seconds is forgotten,
//! because a connection's task serves one request after another.

use std::time::Duration;

use crate::runtime::clock::Moment;

/// The number of contexts that are remembered.
const SLOTS: usize = 4_096;

/// A context's keys are forgotten after this time without a read.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// The number of keys that a context remembers.
pub(super) const REMEMBERED: usize = 2;

/// The absence of a key.
pub(super) const NONE: u32 = u32::MAX;

/// The last keys of one context, as places in the table, the latest first.
pub(super) type Last = [u32; REMEMBERED];

#[derive(Clone, Copy)]
struct Slot {
    context: u64,
    last: Last,
    at: Moment,
}

pub(super) struct Contexts(Box<[Slot]>);

impl Contexts {
    pub(super) fn new() -> Self {
        let empty = Slot {
            context: 0,
            last: [NONE; REMEMBERED],
            at: Moment::NEVER,
        };
        Self(vec![empty; SLOTS].into())
    }

    /// Adds a key to its context, and returns those before it.
    pub(super) fn add(&mut self, context: u64, key: u32, now: Moment) -> Last {
        // Tasks have successive numbers, so neighbours do not share a slot.
        let slot = &mut self.0[context as usize % SLOTS];
        let is_known = slot.context == context && now.since(slot.at) <= FORGOTTEN_AFTER;
        let before = match is_known {
            true => slot.last,
            false => [NONE; REMEMBERED],
        };
        *slot = Slot {
            context,
            last: [key, before[0]],
            at: now,
        };
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_knows_its_own_last_two_keys() {
        let (mut contexts, now) = (Contexts::new(), Moment::from_millis(50_000));
        assert_eq!(contexts.add(1, 10, now), [NONE, NONE]);
        assert_eq!(contexts.add(2, 20, now), [NONE, NONE]);
        assert_eq!(contexts.add(1, 11, now), [10, NONE]);
        assert_eq!(contexts.add(1, 12, now), [11, 10]);
        assert_eq!(contexts.add(2, 21, now), [20, NONE]);
    }

    #[test]
    fn a_context_is_forgotten_after_ten_seconds() {
        let (mut contexts, now) = (Contexts::new(), Moment::from_millis(50_000));
        contexts.add(1, 10, now);
        let late = now.plus(FORGOTTEN_AFTER);
        assert_eq!(contexts.add(1, 11, late), [10, NONE]);
        let later = late.plus(FORGOTTEN_AFTER + Duration::from_millis(1));
        assert_eq!(contexts.add(1, 12, later), [NONE, NONE]);
    }

    #[test]
    fn a_context_that_takes_the_slot_of_another_begins_without_keys() {
        let (mut contexts, now) = (Contexts::new(), Moment::from_millis(50_000));
        contexts.add(1, 10, now);
        assert_eq!(contexts.add(1 + SLOTS as u64, 20, now), [NONE, NONE]);
        assert_eq!(contexts.add(1, 11, now), [NONE, NONE]);
    }
}
