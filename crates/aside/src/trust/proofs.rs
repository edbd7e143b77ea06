//! Until when what was held under an earlier connection generation was proved
//! to be the newest.
//!
//! A connection generation ends for one of two reasons. Something was heard
//! that may mean any entry, and then none of them may be served again. Or this
//! instance has gone deaf: it may have missed a message, and does not know
//! which. What it held then was the newest when the last proof was given, and
//! is no further behind than that. Nothing serves it for that by itself; a
//! strategy that allows stale values on errors does.

use std::collections::VecDeque;

use super::super::runtime::clock::Moment;

/// Changes of the last proof that are remembered. One is added each time the
/// proofs go on after a silence, so this is hours of a bad connection.
const MOST: usize = 64;

/// The last proofs of the generations that ended in deafness, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Proofs(VecDeque<Ended>);

/// Generations, one after the other, that ended with the same last proof: an
/// outage makes many.
#[derive(Debug)]
struct Ended {
    first: u32,
    last: u32,
    proved: Moment,
}

impl Proofs {
    /// `generation` ends in deafness, and was last proved at `proved`.
    pub(crate) fn deaf(&mut self, generation: u32, proved: Moment) {
        match self.0.back_mut() {
            Some(ended)
                if ended.proved == proved && ended.last.checked_add(1) == Some(generation) =>
            {
                ended.last = generation;
            }
            _ => {
                if self.0.len() == MOST {
                    self.0.pop_front();
                }
                self.0.push_back(Ended {
                    first: generation,
                    last: generation,
                    proved,
                });
            }
        }
    }

    /// A generation ends because of what was heard.
    pub(crate) fn heard(&mut self) {
        self.0.clear();
    }

    /// When what was held under `generation` was last proved to be the newest,
    /// if nothing has been heard since that may mean any of it.
    pub(crate) fn of(&self, generation: u32) -> Option<Moment> {
        let ended = self.0.iter().find(|ended| generation <= ended.last)?;
        (ended.first <= generation).then_some(ended.proved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: Moment = Moment::from_millis(10);
    const LATE: Moment = Moment::from_millis(20);

    #[test]
    fn a_generation_keeps_its_own_last_proof_through_an_outage_of_any_length() {
        let mut proofs = Proofs::default();
        proofs.deaf(3, EARLY);
        for generation in 4..10_000 {
            proofs.deaf(generation, LATE);
        }
        assert_eq!(proofs.of(2), None);
        assert_eq!(proofs.of(3), Some(EARLY));
        assert_eq!(proofs.of(5_000), Some(LATE));
        assert_eq!(proofs.of(10_000), None);
    }

    #[test]
    fn what_was_heard_ends_all_that_was_held_before() {
        let mut proofs = Proofs::default();
        proofs.deaf(3, EARLY);
        proofs.heard();
        proofs.deaf(5, LATE);
        assert_eq!(proofs.of(3), None);
        assert_eq!(proofs.of(4), None);
        assert_eq!(proofs.of(5), Some(LATE));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut proofs = Proofs::default();
        for generation in 0..1_000 {
            proofs.deaf(generation, Moment::from_millis(generation.into()));
        }
        assert_eq!(proofs.0.len(), MOST);
        assert_eq!(proofs.of(0), None);
    }
}
