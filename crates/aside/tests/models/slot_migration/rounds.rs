//! The reader's rounds, the messages it receives, and its map.

use super::{ChangedLine, Failover, Kind, Link, Message, SlotMigration, State, Witnesses};
use crate::explore::Steps;

impl SlotMigration {
    pub(super) fn prove(&self, at: &State, steps: &mut Steps<State>) {
        if self.fails_over && self.witnesses != Witnesses::None {
            let is_unseen = self.witnesses == Witnesses::NoNewerEpoch;
            if at.failover == Failover::None || is_unseen {
                let mut to = *at;
                to.link.witnessed = Some(at.returned);
                let words = "r: a majority of witnesses answers, v# had returned";
                steps.to(words, [at.returned], to);
            }
        }
        let first = at.link.channel.first();
        let answer = self.answer(at);
        if self.rounds_travel && !at.link.is_round_sent {
            let mut to = *at;
            to.link.is_round_sent = true;
            to.link.channel.push(answer);
            steps.to("r: a round at n#", [at.link.node], to);
        }
        let mut to = *at;
        to.link.channel = at.link.channel.without_first();
        match first.map(|message| message.kind) {
            Some(Kind::Answer) => {
                to.link.is_round_sent = false;
                let answer = first.unwrap_or_default();
                steps.to("r: the round is answered", [], self.judge(&to, answer));
            }
            Some(Kind::Forget | Kind::None) => {
                to.raise_generation();
                steps.to("r: receives a message", [], to);
            }
            None if !self.rounds_travel => {
                let numbers = [at.link.node, at.returned];
                let words = "r: a round at n#, v# had returned";
                steps.to(words, numbers, self.judge(at, answer));
            }
            None => {}
        }
    }

    /// The answer of the reader's node to a round.
    fn answer(&self, at: &State) -> Message {
        let is_primary = match at.link.node {
            0 => at.failover != Failover::Noticed,
            _ => true,
        };
        Message {
            kind: Kind::Answer,
            date: at.returned,
            line: at.slot.changes,
            is_primary,
        }
    }

    fn judge(&self, at: &State, answer: Message) -> State {
        let mut to = *at;
        let is_same = match self.line_has_epoch {
            true => answer.line == at.link.line,
            // The slot has gone, and may have come back since.
            false => answer.line % 2 == at.link.line % 2,
        };
        let is_proof = is_same || self.changed_line == ChangedLine::Ignored;
        if !answer.is_primary || (!is_proof && self.changed_line == ChangedLine::ClosesShard) {
            if at.link.proof.is_some() && self.raises_generation {
                to.raise_generation();
            }
            to.link.proof = None;
            to.link.local_proof = None;
            return to;
        }
        to.link.proof = Some(answer.date);
        to.link.local_proof = Some(answer.date);
        if !is_proof {
            to.link.line = answer.line;
            if self.raises_generation {
                to.raise_generation();
            }
            if self.changed_line == ChangedLine::EndsEntriesAndWaits {
                to.link.local_proof = None;
            }
        }
        to
    }

    pub(super) fn learn_map(&self, at: &State, steps: &mut Steps<State>) {
        let node = at.owner();
        if at.link.node == node {
            return;
        }
        let mut to = *at;
        to.link = Link {
            node,
            line: at.slot.changes,
            witnessed: at.link.witnessed,
            entry: at.link.entry,
            ..Link::default()
        };
        if self.raises_generation {
            to.raise_generation();
        }
        steps.to("r: learns that n# owns the slot, subscribes", [node], to);
    }
}
