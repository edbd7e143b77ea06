//! What one node knows of its cluster: a translation of the state machine of Redis.
//!
//! Packets are those of the cluster bus. Each has a header with the sender's epochs
//! and claims.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::slots::{Blocks, Layout};

/// The times of a cluster, all shorter than in production.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Times {
    /// A node without a packet for so long may have failed (`cluster-node-timeout`).
    pub(in super::super) node: Duration,
    /// The longest pause before an election.
    pub(in super::super) election: Duration,
}

/// A node, as another one sees it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) config_epoch: u64,
    /// The primary that it copies; `None` for a primary.
    pub(super) primary: Option<usize>,
    pub(super) heard: Instant,
    pub(super) is_maybe_failed: bool,
    pub(super) failed_since: Option<Instant>,
    /// When each primary last reported it as failing.
    pub(super) reports: Vec<Option<Instant>>,
    /// When a vote for one of its replicas was last given.
    pub(super) voted: Option<Instant>,
}

/// The beginning of each packet. Claims of a replica are those of its primary.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) sender: usize,
    pub(super) current_epoch: u64,
    pub(super) config_epoch: u64,
    pub(super) primary: Option<usize>,
    pub(super) blocks: Blocks,
}

/// A packet between nodes.
#[derive(Clone, Debug)]
pub(super) enum Packet {
    /// With the nodes that the sender takes for failing.
    Ping(Vec<usize>),
    Failed(usize),
    AskForVote {
        is_forced: bool,
    },
    Vote(u64),
    /// The owner of blocks that the receiver claims.
    Update {
        owner: usize,
        config_epoch: u64,
        blocks: Blocks,
    },
}

/// A step of a node.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Send(usize, Packet),
    Broadcast(Packet),
    /// It has won an election.
    Promote,
    /// It copies another primary from now on.
    Follow(usize),
    /// It owns these blocks no more.
    Drop(Blocks),
}

/// A replica's election.
#[derive(Clone, Debug)]
pub(super) struct Election {
    /// Not before.
    pub(super) at: Instant,
    /// `None` until votes are asked for.
    pub(super) epoch: Option<u64>,
    /// An operator's goes on although the primary is reachable.
    pub(super) is_forced: bool,
    pub(super) voters: BTreeSet<usize>,
}

pub(in super::super) struct View {
    pub(super) me: usize,
    pub(super) layout: Arc<Layout>,
    pub(super) times: Times,
    pub(super) current_epoch: u64,
    pub(super) last_vote: u64,
    pub(super) peers: Vec<Peer>,
    /// By block.
    pub(super) owners: Vec<Option<usize>>,
    /// Blocks on their way to another node, and from another one.
    pub(super) migrating: BTreeMap<usize, usize>,
    pub(super) importing: BTreeMap<usize, usize>,
    pub(super) election: Option<Election>,
    /// True if it serves its slots.
    pub(super) is_ok: bool,
    /// When it was last with a minority of the primaries.
    pub(super) minority: Option<Instant>,
}

impl View {
    /// Creates the view of a node in a cluster that agrees. `primaries` has, for each
    /// node, the primary that it copies.
    pub(super) fn new(
        me: usize,
        (layout, primaries): (&Arc<Layout>, &[Option<usize>]),
        current_epoch: u64,
        times: Times,
    ) -> Self {
        let count = primaries.iter().filter(|it| it.is_none()).count();
        let peer = |(number, primary): (usize, &Option<usize>)| Peer {
            config_epoch: match primary {
                Some(_) => 0,
                None => 1 + number as u64,
            },
            primary: *primary,
            heard: Instant::now(),
            is_maybe_failed: false,
            failed_since: None,
            reports: vec![None; primaries.len()],
            voted: None,
        };
        let owner = |block| Some(layout.first_owner(block, count));
        Self {
            me,
            layout: Arc::clone(layout),
            times,
            current_epoch,
            last_vote: 0,
            peers: primaries.iter().enumerate().map(peer).collect(),
            owners: (0..layout.len()).map(owner).collect(),
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            election: None,
            is_ok: true,
            minority: None,
        }
    }

    pub(super) fn own(&self) -> &Peer {
        &self.peers[self.me]
    }

    pub(super) fn is_primary(&self) -> bool {
        self.own().primary.is_none()
    }

    pub(super) fn blocks_of(&self, node: usize) -> Blocks {
        let blocks = (0..self.owners.len()).filter(|it| self.owners[*it] == Some(node));
        blocks.fold(Blocks::default(), Blocks::with)
    }

    /// Returns true for a primary with slots, whose votes count.
    pub(super) fn has_vote(&self, node: usize) -> bool {
        self.peers[node].primary.is_none() && self.owners.contains(&Some(node))
    }

    /// Returns how many primaries are a majority.
    pub(super) fn majority(&self) -> usize {
        let voters = (0..self.peers.len()).filter(|node| self.has_vote(*node));
        voters.count() / 2 + 1
    }

    /// Returns the primary whose claims this node sends.
    pub(super) fn claimant(&self) -> usize {
        self.own().primary.unwrap_or(self.me)
    }

    pub(super) fn header(&self) -> Header {
        let claimant = self.claimant();
        Header {
            sender: self.me,
            current_epoch: self.current_epoch,
            config_epoch: self.peers[claimant].config_epoch,
            primary: self.own().primary,
            blocks: self.blocks_of(claimant),
        }
    }

    /// Applies a packet.
    pub(super) fn receive(&mut self, header: Header, packet: &Packet) -> Vec<Action> {
        let mut actions = Vec::new();
        self.current_epoch = self.current_epoch.max(header.current_epoch);
        self.hear(header.sender);
        self.learn_role(header, &mut actions);
        match packet {
            Packet::Ping(suspects) => self.learn_reports(header.sender, suspects, &mut actions),
            Packet::Failed(node) if *node != self.me => {
                let peer = &mut self.peers[*node];
                peer.failed_since.get_or_insert_with(Instant::now);
                peer.is_maybe_failed = false;
            }
            Packet::Failed(_) => {}
            Packet::AskForVote { is_forced } => {
                if let Some(epoch) = self.vote(header, *is_forced) {
                    actions.push(Action::Send(header.sender, Packet::Vote(epoch)));
                }
            }
            Packet::Vote(epoch) => self.count_vote(header.sender, *epoch),
            Packet::Update {
                owner,
                config_epoch,
                blocks,
            } => {
                let peer = &mut self.peers[*owner];
                if *owner != self.me && peer.config_epoch < *config_epoch {
                    (peer.primary, peer.config_epoch) = (None, *config_epoch);
                    self.learn_claims(*owner, *config_epoch, *blocks, &mut actions);
                }
            }
        }
        actions
    }

    fn learn_role(&mut self, header: Header, actions: &mut Vec<Action>) {
        let Header {
            sender,
            config_epoch,
            blocks,
            ..
        } = header;
        let before = self.peers[sender].primary;
        self.peers[sender].primary = header.primary;
        if header.primary.is_none() {
            let peer = &mut self.peers[sender];
            peer.config_epoch = peer.config_epoch.max(config_epoch);
            self.learn_claims(sender, config_epoch, blocks, actions);
            // The id of the other one is the greater: this node gives way.
            let collides = self.is_primary() && config_epoch == self.own().config_epoch;
            if collides && self.me < sender {
                self.raise_own_epoch();
            }
        } else if before.is_none() {
            for owner in &mut self.owners {
                owner.take_if(|owner| *owner == sender);
            }
        }
        // Its claims are old: it is told the newer ones.
        let owners = blocks.iter().filter_map(|block| self.owners[block]);
        let newer = |owner: &usize| config_epoch < self.peers[*owner].config_epoch;
        let mut newer: Vec<usize> = owners.filter(newer).collect();
        newer.dedup();
        for owner in newer {
            let update = Packet::Update {
                owner,
                config_epoch: self.peers[owner].config_epoch,
                blocks: self.blocks_of(owner),
            };
            actions.push(Action::Send(sender, update));
        }
    }

    /// Records claims, of which the greater config epoch wins.
    fn learn_claims(
        &mut self,
        claimant: usize,
        config_epoch: u64,
        blocks: Blocks,
        actions: &mut Vec<Action>,
    ) {
        if claimant == self.me {
            return;
        }
        let own = self.claimant();
        let (mut lost, mut is_ours) = (Blocks::default(), false);
        for block in blocks.iter() {
            let owner = self.owners[block];
            let is_older = |owner: usize| self.peers[owner].config_epoch < config_epoch;
            let is_won = owner.is_none_or(|owner| owner != claimant && is_older(owner));
            // Only an operator changes a slot that is arriving.
            if !is_won || self.importing.contains_key(&block) {
                continue;
            }
            if owner == Some(own) {
                is_ours = true;
                lost = lost.with(block);
                self.migrating.remove(&block);
            }
            self.owners[block] = Some(claimant);
        }
        if !is_ours {
            return;
        }
        if self.blocks_of(own).is_empty() {
            self.peers[self.me].primary = Some(claimant);
            self.migrating.clear();
            self.importing.clear();
            self.election = None;
            actions.push(Action::Follow(claimant));
        } else if own == self.me {
            actions.push(Action::Drop(lost));
        }
    }

    /// Takes the greatest epoch for this node, without votes.
    pub(super) fn raise_own_epoch(&mut self) {
        self.current_epoch += 1;
        let epoch = self.current_epoch;
        self.peers[self.me].config_epoch = epoch;
    }

    /// Returns the next steps.
    pub(super) fn advance(&mut self, rng: &mut fastrand::Rng) -> Vec<Action> {
        let mut actions = Vec::new();
        self.look(&mut actions);
        self.update_state();
        self.elect(rng, &mut actions);
        actions.push(Action::Broadcast(self.ping()));
        actions
    }

    /// Returns the packet with the nodes that this node takes for failing.
    pub(super) fn ping(&self) -> Packet {
        let suspects = (0..self.peers.len()).filter(|node| self.is_suspect(*node));
        Packet::Ping(suspects.collect())
    }

    /// Starts again with the state on its disk.
    pub(super) fn restart(&mut self) {
        let now = Instant::now();
        (self.is_ok, self.minority, self.election) = (false, Some(now), None);
        for peer in &mut self.peers {
            (peer.heard, peer.is_maybe_failed) = (now, false);
        }
    }
}
