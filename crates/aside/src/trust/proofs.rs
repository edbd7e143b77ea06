//! Last proofs of ended connection generations.
//!
//! A connection generation ends for one of two reasons. A message concerned any
//! entry: then no entry may be served again. Or the connection was lost: this
//! instance may have missed a message about any entry. Its entries were current
//! at the last proof, and are at most as stale as that. By default they are not
//! served either, but a strategy may allow stale values on errors.

use std::collections::VecDeque;

use super::super::runtime::clock::Moment;

/// The maximum number of remembered proofs. One is added each time a connection
/// is lost after a new proof, so this covers hours of a bad connection.
const MAX_PROOFS: usize = 64;

/// The last proofs of the generations that ended with a lost connection, oldest
/// first.
#[derive(Debug, Default)]
pub(crate) struct Proofs(VecDeque<Ended>);

/// Consecutive generations that ended with the same last proof; an outage
/// causes many.
#[derive(Debug)]
struct Ended {
    first: u32,
    last: u32,
    proved: Moment,
}

impl Proofs {
    /// Ends `generation` because of a lost connection, last proved at `proved`.
    pub(crate) fn deaf(&mut self, generation: u32, proved: Moment) {
        match self.0.back_mut() {
            Some(ended)
                if ended.proved == proved && ended.last.checked_add(1) == Some(generation) =>
            {
                ended.last = generation;
            }
            _ => {
                if self.0.len() == MAX_PROOFS {
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

    /// Ends a generation because of a message.
    pub(crate) fn heard(&mut self) {
        self.0.clear();
    }

    /// Returns when entries of `generation` were last proved current, if no
    /// message since then may concern them.
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
    fn a_generation_keeps_its_last_proof_in_a_long_outage() {
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
    fn a_message_ends_all_earlier_generations() {
        let mut proofs = Proofs::default();
        proofs.deaf(3, EARLY);
        proofs.heard();
        proofs.deaf(5, LATE);
        assert_eq!(proofs.of(3), None);
        assert_eq!(proofs.of(4), None);
        assert_eq!(proofs.of(5), Some(LATE));
    }

    #[test]
    fn the_number_of_proofs_is_bounded() {
        let mut proofs = Proofs::default();
        for generation in 0..1_000 {
            proofs.deaf(generation, Moment::from_millis(generation.into()));
        }
        assert_eq!(proofs.0.len(), MAX_PROOFS);
        assert_eq!(proofs.of(0), None);
    }
}
