//! Elections of a cluster, and promotions without one.

use std::collections::BTreeSet;

use fastrand::Rng;
use tokio::time::Instant;

use super::view::{Action, Election, Header, Packet, View};

impl View {
    /// Begins a failover that an operator asks of a replica (`FAILOVER FORCE`).
    pub(super) fn force(&mut self) {
        if !self.is_primary() {
            self.election = Some(Election {
                at: Instant::now(),
                epoch: None,
                is_forced: true,
                voters: BTreeSet::new(),
            });
        }
    }

    /// Takes over the slots of the primary without votes (`FAILOVER TAKEOVER`).
    pub(super) fn take_over(&mut self) -> Vec<Action> {
        match self.is_primary() {
            true => Vec::new(),
            false => {
                self.raise_own_epoch();
                self.promote(self.current_epoch)
            }
        }
    }

    /// Votes for the sender of a request. Returns the epoch of the vote. The current
    /// epoch has been raised before.
    pub(super) fn vote(&mut self, header: Header, is_forced: bool) -> Option<u64> {
        let primary = header.primary?;
        let epoch = header.current_epoch;
        let old = 2 * self.times.node;
        let peer = &self.peers[primary];
        let may_vote = self.has_vote(self.me)
            && self.current_epoch <= epoch
            && self.last_vote < epoch
            && (is_forced || peer.failed_since.is_some())
            && peer.voted.is_none_or(|at| old < at.elapsed());
        // A claim that is older than another's loses its slots.
        let mut owners = header.blocks.iter().filter_map(|block| self.owners[block]);
        let newer = |owner: usize| header.config_epoch < self.peers[owner].config_epoch;
        if !may_vote || owners.any(newer) {
            return None;
        }
        self.last_vote = epoch;
        self.peers[primary].voted = Some(Instant::now());
        Some(epoch)
    }

    pub(super) fn count_vote(&mut self, voter: usize, epoch: u64) {
        let has_vote = self.has_vote(voter);
        if let Some(election) = &mut self.election
            && has_vote
            && election.epoch == Some(epoch)
        {
            election.voters.insert(voter);
        }
    }

    /// Returns true if a majority has voted for this node.
    pub(super) fn has_votes(&self) -> bool {
        let voters = self.election.as_ref().map(|election| &election.voters);
        voters.is_some_and(|voters| self.majority() <= voters.len())
    }

    /// Takes the next step of an election.
    pub(super) fn elect(&mut self, rng: &mut Rng, actions: &mut Vec<Action>) {
        let Some(primary) = self.own().primary else {
            self.election = None;
            return;
        };
        let has_failed = self.peers[primary].failed_since.is_some() && self.has_vote(primary);
        let (now, majority) = (Instant::now(), self.majority());
        let Some(election) = &mut self.election else {
            if has_failed {
                // Not all at once, so that one of them wins.
                self.election = Some(Election {
                    at: now + self.times.election.mul_f64(rng.f64()),
                    epoch: None,
                    is_forced: false,
                    voters: BTreeSet::new(),
                });
            }
            return;
        };
        // By then the voters may vote again.
        let is_over = 5 * self.times.node / 2 < now.saturating_duration_since(election.at);
        if is_over || !(has_failed || election.is_forced) {
            self.election = None;
        } else if election.epoch.is_none() && election.at <= now {
            self.current_epoch += 1;
            election.epoch = Some(self.current_epoch);
            let is_forced = election.is_forced;
            actions.push(Action::Broadcast(Packet::AskForVote { is_forced }));
        } else if let Some(epoch) = election.epoch
            && majority <= election.voters.len()
        {
            actions.extend(self.promote(epoch));
        }
    }

    fn promote(&mut self, epoch: u64) -> Vec<Action> {
        let Some(primary) = self.own().primary else {
            return Vec::new();
        };
        self.election = None;
        let me = &mut self.peers[self.me];
        (me.primary, me.config_epoch) = (None, epoch);
        for owner in &mut self.owners {
            if *owner == Some(primary) {
                *owner = Some(self.me);
            }
        }
        vec![Action::Promote, Action::Broadcast(self.ping())]
    }
}
