//! Nodes that do not reach each other: suspects, failures, and minorities.

use tokio::time::Instant;

use super::view::{Action, Packet, View};

impl View {
    /// Records that a node has sent a packet.
    pub(super) fn hear(&mut self, sender: usize) {
        let (now, has_vote) = (Instant::now(), self.has_vote(sender));
        let peer = &mut self.peers[sender];
        (peer.heard, peer.is_maybe_failed) = (now, false);
        // A primary may be in the middle of its replacement.
        let undo = 2 * self.times.node;
        if peer
            .failed_since
            .is_some_and(|since| !has_vote || undo < now - since)
        {
            peer.failed_since = None;
        }
    }

    /// Looks for nodes that have been silent for too long.
    pub(super) fn look(&mut self, actions: &mut Vec<Action>) {
        let me = self.me;
        for node in (0..self.peers.len()).filter(|node| *node != me) {
            let peer = &mut self.peers[node];
            let is_silent = self.times.node < peer.heard.elapsed();
            peer.is_maybe_failed |= is_silent && peer.failed_since.is_none();
            actions.extend(self.judge(node));
        }
    }

    /// Records the nodes that another one takes for failing.
    pub(super) fn learn_reports(
        &mut self,
        sender: usize,
        suspects: &[usize],
        actions: &mut Vec<Action>,
    ) {
        if !self.has_vote(sender) {
            return;
        }
        let now = Instant::now();
        let me = self.me;
        for node in (0..self.peers.len()).filter(|node| *node != me) {
            self.peers[node].reports[sender] = suspects.contains(&node).then_some(now);
            actions.extend(self.judge(node));
        }
    }

    /// Takes a node for failed if a majority does.
    fn judge(&mut self, node: usize) -> Option<Action> {
        let peer = &self.peers[node];
        if !peer.is_maybe_failed || peer.failed_since.is_some() {
            return None;
        }
        let old = 2 * self.times.node;
        let fresh = |reporter: &usize| {
            let report = peer.reports[*reporter];
            self.has_vote(*reporter) && report.is_some_and(|at| at.elapsed() < old)
        };
        let reports = (0..self.peers.len()).filter(fresh).count();
        let own = usize::from(self.has_vote(self.me));
        if reports + own < self.majority() {
            return None;
        }
        let peer = &mut self.peers[node];
        (peer.is_maybe_failed, peer.failed_since) = (false, Some(Instant::now()));
        Some(Action::Broadcast(Packet::Failed(node)))
    }

    pub(super) fn is_suspect(&self, node: usize) -> bool {
        let peer = &self.peers[node];
        peer.is_maybe_failed || peer.failed_since.is_some()
    }

    /// Stops serving with a minority, or without a slot's owner. After a minority, a
    /// primary waits, because it may have been replaced.
    pub(super) fn update_state(&mut self) {
        let has_failed = |owner: usize| self.peers[owner].failed_since.is_some();
        let is_whole = self
            .owners
            .iter()
            .all(|owner| owner.is_some_and(|it| !has_failed(it)));
        let reached =
            (0..self.peers.len()).filter(|node| self.has_vote(*node) && !self.is_suspect(*node));
        if reached.count() < self.majority() {
            (self.is_ok, self.minority) = (false, Some(Instant::now()));
            return;
        }
        let waits = self.is_primary()
            && self
                .minority
                .is_some_and(|minority| minority.elapsed() < self.times.node);
        self.is_ok = is_whole && (self.is_ok || !waits);
    }
}
