//! The quorum of epochs: since when no other node had been promoted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::claims::NodeId;
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};

/// How long an election may be under way before its epoch counts as left over.
const MAX_ELECTION: Duration = Duration::from_secs(5);

/// The replies of the nodes about their current epochs.
#[derive(Debug, Default)]
pub(super) struct Quorum {
    /// The greatest epoch that a node has as its config epoch, or that the nodes had
    /// when they were first asked.
    settled: u64,
    /// The epoch of an election that has left it over.
    left_over: u64,
    /// A greater epoch, and when it was first seen: an election may be under way.
    election: Option<(u64, Moment)>,
    /// The last reply of each node without such an epoch.
    replies: BTreeMap<NodeId, Moment>,
}

impl Quorum {
    /// Records a node's current epoch, in a reply requested at `sent`. `config_epoch`
    /// is the greatest that any node has.
    pub(super) fn record(
        &mut self,
        id: &NodeId,
        sent: Moment,
        (epoch, config_epoch): (u64, u64),
        now: Moment,
    ) {
        if self.replies.is_empty() && self.election.is_none() {
            // Nodes that joined the cluster have used up epochs.
            self.settled = epoch;
        }
        #[cfg(test)]
        let config_epoch = match without(Rule::UnresolvedEpoch) {
            true => config_epoch.max(epoch),
            false => config_epoch,
        };
        self.settled = self.settled.max(config_epoch);
        match self.election {
            Some((election, _)) if election <= self.settled => self.election = None,
            Some((election, since)) if MAX_ELECTION <= now.since(since) => {
                self.left_over = election;
                self.election = None;
            }
            _ => {}
        }
        if epoch <= self.settled.max(self.left_over) {
            let known = self.replies.entry(NodeId::clone(id)).or_insert(sent);
            *known = sent.max(*known);
        } else if self.election.is_none_or(|(known, _)| known < epoch) {
            self.election = Some((epoch, now));
        }
    }

    /// Returns true while an election may be under way.
    pub(super) fn is_unresolved(&self) -> bool {
        self.election.is_some()
    }

    /// Returns true if an election has ended without a winner that is known.
    pub(super) fn has_no_winner(&self) -> bool {
        self.settled < self.left_over
    }

    /// Returns the time that a majority of these primaries has confirmed.
    pub(super) fn confirmed<'a>(&self, primaries: impl Iterator<Item = &'a str>) -> Moment {
        let known = |id| self.replies.get(id).copied().unwrap_or(Moment::NEVER);
        let mut replies: Vec<Moment> = primaries.map(known).collect();
        replies.sort_unstable_by(|one, other| other.cmp(one));
        let majority = replies.len() / 2;
        replies.get(majority).copied().unwrap_or(Moment::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARIES: [&str; 3] = ["a", "b", "c"];

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// Records a reply of each node, at these times.
    fn record(quorum: &mut Quorum, replies: [u64; 3], epochs: (u64, u64)) {
        for (id, sent) in PRIMARIES.into_iter().zip(replies) {
            quorum.record(&id.into(), at(sent), epochs, at(sent));
        }
    }

    fn confirmed(quorum: &Quorum) -> Moment {
        quorum.confirmed(PRIMARIES.into_iter())
    }

    #[test]
    fn a_majority_confirms_the_second_latest_of_three_replies() {
        let mut quorum = Quorum::default();
        quorum.record(&"a".into(), at(30), (6, 3), at(30));
        assert_eq!(confirmed(&quorum), Moment::NEVER);
        quorum.record(&"b".into(), at(20), (6, 3), at(20));
        assert_eq!(confirmed(&quorum), at(20));
        quorum.record(&"c".into(), at(10), (6, 3), at(10));
        assert_eq!(confirmed(&quorum), at(20));
        assert_eq!(quorum.confirmed(["a", "c"].into_iter()), at(10));
    }

    #[test]
    fn an_election_confirms_nothing_until_its_winner_is_known() {
        let mut quorum = Quorum::default();
        record(&mut quorum, [10, 10, 10], (6, 3));
        quorum.record(&"a".into(), at(20), (7, 3), at(20));
        assert!(quorum.is_unresolved());
        quorum.record(&"b".into(), at(30), (7, 7), at(30));
        assert!(!quorum.is_unresolved() && !quorum.has_no_winner());
        // The reply of the voter from before the winner was known does not count.
        assert_eq!(confirmed(&quorum), at(10));
        quorum.record(&"a".into(), at(40), (7, 7), at(40));
        assert_eq!(confirmed(&quorum), at(30));
    }

    #[test]
    fn an_election_without_a_winner_leaves_its_epoch_over() {
        let mut quorum = Quorum::default();
        record(&mut quorum, [10, 10, 10], (6, 3));
        quorum.record(&"a".into(), at(20), (7, 3), at(20));
        quorum.record(&"a".into(), at(5_019), (7, 3), at(5_019));
        assert!(quorum.is_unresolved());
        record(&mut quorum, [5_020, 5_021, 5_022], (7, 3));
        assert!(!quorum.is_unresolved() && quorum.has_no_winner());
        assert_eq!(confirmed(&quorum), at(5_021));
        quorum.record(&"a".into(), at(5_030), (8, 8), at(5_030));
        assert!(!quorum.has_no_winner());
    }
}
