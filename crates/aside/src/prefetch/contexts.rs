//! The last keys of each context: of a task, or of a request that names itself.
//!
//! Reads of different requests follow each other by accident, so one stream of all
//! reads teaches nothing. A context that has not read for some seconds is forgotten,
//! because a connection's task serves one request after another.

use std::time::Duration;

use super::lists::LastList;
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

pub(super) struct Slot {
    context: u64,
    last: Last,
    /// The last list, if its rows name keys.
    pub(super) list: Option<Box<LastList>>,
    at: Moment,
}

impl Slot {
    fn of(context: u64) -> Self {
        Self {
            context,
            last: [NONE; REMEMBERED],
            list: None,
            at: Moment::NEVER,
        }
    }

    /// Adds a key, and returns those before it.
    pub(super) fn add(&mut self, key: u32) -> Last {
        let before = self.last;
        self.last = [key, before[0]];
        before
    }
}

pub(super) struct Contexts(Box<[Slot]>);

impl Contexts {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| Slot::of(0)).collect())
    }

    /// Returns the slot of a context that reads now.
    pub(super) fn slot(&mut self, context: u64, now: Moment) -> &mut Slot {
        // Tasks have successive numbers, so neighbours do not share a slot.
        let slot = &mut self.0[context as usize % SLOTS];
        if slot.context != context || FORGOTTEN_AFTER < now.since(slot.at) {
            *slot = Slot::of(context);
        }
        slot.at = now;
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_knows_its_own_last_two_keys() {
        let (mut contexts, now) = (Contexts::new(), Moment::from_millis(50_000));
        assert_eq!(contexts.slot(1, now).add(10), [NONE, NONE]);
        assert_eq!(contexts.slot(2, now).add(20), [NONE, NONE]);
        assert_eq!(contexts.slot(1, now).add(11), [10, NONE]);
        assert_eq!(contexts.slot(1, now).add(12), [11, 10]);
        assert_eq!(contexts.slot(2, now).add(21), [20, NONE]);
    }

    #[test]
    fn a_context_is_forgotten_after_ten_seconds() {
        let (mut contexts, now) = (Contexts::new(), Moment::from_millis(50_000));
        contexts.slot(1, now).add(10);
        let late = now.plus(FORGOTTEN_AFTER);
        assert_eq!(contexts.slot(1, late).add(11), [10, NONE]);
        let later = late.plus(FORGOTTEN_AFTER + Duration::from_millis(1));
        assert_eq!(contexts.slot(1, later).add(12), [NONE, NONE]);
    }

    #[test]
    fn a_context_that_takes_the_slot_of_another_begins_without_keys() {
        let (mut contexts, now) = (Contexts::new(), Moment::from_millis(50_000));
        contexts.slot(1, now).add(10);
        assert_eq!(contexts.slot(1 + SLOTS as u64, now).add(20), [NONE, NONE]);
        assert_eq!(contexts.slot(1, now).add(11), [NONE, NONE]);
    }
}
