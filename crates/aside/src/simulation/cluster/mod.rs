//! A simulated cluster: nodes with slots, replicas, elections and migrations.
//!
//! Each node has its own view, and serves by it. Nodes learn of each other by packets
//! on a bus (`mesh`) that delays, reorders and loses them. Messages of clients travel
//! on the same bus.

mod slots;
mod view;
mod failures;
mod election;
mod node;
mod migration;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;

pub(super) use self::migration::{Migration, draw};
pub(super) use self::node::{Node, PORT, name_of};
pub(super) use self::slots::Layout;
pub(super) use self::view::Times;
use self::view::{Action, Packet, View};
use super::group::Group;
use super::host::Host;
use super::server::Server;
use crate::simulation::Trace;

/// The interval at which a node looks at the others.
const TICK: Duration = Duration::from_millis(20);

/// How long a node that continues may serve before it looks at the others.
const WAKING: Duration = Duration::from_millis(100);

/// The URL by which clients find the nodes.
pub(super) fn url(primaries: usize) -> String {
    let names: Vec<String> = (0..primaries).map(name_of).collect();
    format!("redis+cluster://{}", names.join(","))
}

/// All nodes of a cluster. The number of each is that of its host.
pub(super) struct Cluster {
    pub(super) group: Arc<Group>,
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) layout: Arc<Layout>,
    /// How often a copy of a client's message is lost, in percent.
    loses_copies: u32,
    trace: Trace,
}

impl Node {
    /// Creates all nodes of a cluster. `copies` has, for each server, the primary that
    /// it copies.
    pub(super) fn all(
        servers: &[Arc<Server>],
        copies: &[Option<usize>],
        times: Times,
        rng: &mut Rng,
    ) -> Vec<Arc<Self>> {
        let primaries = copies.iter().filter(|it| it.is_none()).count();
        let layout = Arc::new(Layout::new(primaries));
        // Nodes that joined have used up epochs.
        let epoch = (primaries + rng.usize(..4)) as u64;
        let view = |node| View::new(node, (&layout, copies), epoch, times);
        let servers = servers.iter().cloned().enumerate();
        servers
            .map(|(node, server)| Self::new(server, view(node)))
            .collect()
    }
}

impl Cluster {
    /// Begins to run the nodes.
    pub(super) fn run(
        group: Arc<Group>,
        nodes: Vec<Arc<Node>>,
        loses_copies: u32,
        trace: Trace,
    ) -> Arc<Self> {
        let layout = Arc::clone(&nodes[0].view.lock().layout);
        let cluster = Arc::new(Self {
            group,
            nodes,
            layout,
            loses_copies,
            trace,
        });
        for node in &cluster.nodes {
            let _ = node.cluster.set(Arc::downgrade(&cluster));
            tokio::spawn(Arc::clone(&cluster).run_node(node.number));
        }
        cluster
    }

    async fn run_node(self: Arc<Self>, number: usize) {
        let node = &self.nodes[number];
        loop {
            let pause = self.group.mesh.draw(|rng| TICK.mul_f64(0.5 + rng.f64()));
            sleep(pause).await;
            if !node.machine().replies() {
                node.machine().running().await;
                // What clients have sent meanwhile comes first.
                let later = self.group.mesh.draw(|rng| WAKING.mul_f64(rng.f64()));
                sleep(later).await;
            }
            if node.machine().is_up() {
                let mesh = &self.group.mesh;
                let actions = mesh.draw(|rng| node.view.lock().advance(rng));
                self.act(number, actions);
            }
        }
    }

    fn act(self: &Arc<Self>, me: usize, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(to, packet) => self.send(me, to, packet),
                Action::Broadcast(packet) => {
                    if !matches!(packet, Packet::Ping(_)) {
                        let epoch = self.nodes[me].view.lock().current_epoch;
                        self.trace
                            .note(|text| text.push_str(&format!("n{me}: {packet:?} in {epoch}")));
                    }
                    for to in (0..self.nodes.len()).filter(|to| *to != me) {
                        self.send(me, to, packet.clone());
                    }
                }
                Action::Promote => self.group.promote(me),
                Action::Follow(primary) => self.group.follow(me, primary),
                Action::Drop(blocks) => {
                    for key in blocks.iter().flat_map(|block| self.layout.keys_in(block)) {
                        self.nodes[me].server.remove(key);
                    }
                }
            }
        }
    }

    fn send(self: &Arc<Self>, from: usize, to: usize, packet: Packet) {
        let header = self.nodes[from].view.lock().header();
        let this = Arc::clone(self);
        self.group.mesh.send((from, to), move || {
            let actions = this.nodes[to].view.lock().receive(header, &packet);
            this.act(to, actions);
        });
    }

    /// Sends a client's message to the subscribers of the other nodes.
    fn pass_on(&self, from: usize, message: &str) {
        let others = self.nodes.iter().filter(|node| node.number != from);
        for node in others.filter(|node| node.server.has_subscribers()) {
            if self.group.mesh.draw(|rng| rng.u32(..100)) < self.loses_copies {
                continue;
            }
            let (server, message) = (Arc::clone(&node.server), message.to_owned());
            let push = move || server.push(&message);
            self.group.mesh.send((from, node.number), push);
        }
    }

    /// Returns the nodes that reply, without some.
    fn replying(&self, without: &[usize]) -> impl Iterator<Item = &Arc<Node>> {
        let nodes = self.nodes.iter();
        let nodes = nodes.filter(|node| !without.contains(&node.number));
        nodes.filter(|node| node.machine().replies())
    }

    /// Returns the primary that all nodes which reply take for the owner of a block.
    pub(super) fn owner(&self, block: usize, without: &[usize]) -> Option<usize> {
        let mut owners = self
            .replying(without)
            .map(|node| node.view.lock().owners[block]);
        let first = owners.next()??;
        owners.all(|owner| owner == Some(first)).then_some(first)
    }

    /// Returns the primaries with slots, if all nodes that reply agree on them, doubt
    /// none, and move no slot. The nodes `without` count for nothing.
    pub(super) fn undoubted(&self, without: &[usize]) -> Option<Vec<usize>> {
        let owners = (0..self.layout.len()).map(|block| self.owner(block, without));
        let mut primaries = owners.collect::<Option<Vec<usize>>>()?;
        primaries.sort_unstable();
        primaries.dedup();
        let is_calm = |node: &Arc<Node>| {
            let view = node.view.lock();
            let doubts = |primary: &usize| view.is_suspect(*primary);
            view.is_ok
                && view.election.is_none()
                && view.migrating.is_empty()
                && view.importing.is_empty()
                && !primaries.iter().any(doubts)
        };
        let works = |primary: &usize| {
            self.nodes[*primary].machine().replies() && self.group.primary_of(*primary).is_none()
        };
        let is_sure = primaries.iter().all(works) && self.replying(without).all(is_calm);
        is_sure.then_some(primaries)
    }

    /// Returns the replicas of a primary that reply.
    pub(super) fn replicas(&self, primary: usize) -> Vec<usize> {
        let nodes = 0..self.nodes.len();
        let copies = |node: &usize| self.group.primary_of(*node) == Some(primary);
        let replies = |node: &usize| self.nodes[*node].machine().replies();
        nodes.filter(copies).filter(replies).collect()
    }

    /// Has a replica replace its primary, by votes that need no failure.
    pub(super) fn force(&self, replica: usize) {
        self.nodes[replica].view.lock().force();
    }

    /// Returns true if the nodes replace a primary soon that does not reply.
    pub(super) fn notices_failures(&self) -> bool {
        self.nodes[0].view.lock().times.node < Duration::from_secs(1)
    }

    /// Returns true if a replica has enough votes.
    pub(super) fn has_votes(&self, replica: usize) -> bool {
        self.nodes[replica].view.lock().has_votes()
    }

    /// Has a replica replace its primary, without votes.
    pub(super) fn take_over(self: &Arc<Self>, replica: usize) {
        let actions = self.nodes[replica].view.lock().take_over();
        self.act(replica, actions);
    }

    /// Removes the marks of slots on their way, at all nodes that reply.
    pub(super) fn repair(&self) {
        for node in self.replying(&[]) {
            let mut view = node.view.lock();
            view.migrating.clear();
            view.importing.clear();
        }
    }

    pub(super) fn kill(&self, node: usize) {
        self.group.kill(node);
        self.nodes[node].view.lock().restart();
    }

    pub(super) fn restart(&self, node: usize) {
        self.nodes[node].view.lock().restart();
        self.group.restart(node);
    }
}
