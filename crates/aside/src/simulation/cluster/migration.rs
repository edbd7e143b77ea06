//! Slots on their way from one node to another, key by key or at once.

use std::sync::Arc;

use fastrand::Rng;
use tokio::time::sleep;

use super::{Cluster, Node};
use crate::simulation::host::Host;

/// The migration of one block, as an operator begins it.
pub(in super::super) struct Migration<'a> {
    pub(in super::super) cluster: &'a Arc<Cluster>,
    pub(in super::super) block: usize,
    pub(in super::super) from: usize,
    pub(in super::super) to: usize,
}

impl Migration<'_> {
    fn source(&self) -> &Arc<Node> {
        &self.cluster.nodes[self.from]
    }

    fn target(&self) -> &Arc<Node> {
        &self.cluster.nodes[self.to]
    }

    /// Sends a command to a node. Returns false if the node does not take it.
    async fn command<T>(&self, node: usize, run: impl FnOnce(&Arc<Node>) -> T) -> Option<T> {
        sleep(self.cluster.group.mesh.delay()).await;
        let node = &self.cluster.nodes[node];
        let takes = node.machine().replies() && node.view.lock().is_primary();
        takes.then(|| run(node))
    }

    /// Returns true if a writer has quarantined a key of the slot at the source.
    pub(in super::super) fn is_quarantined(&self) -> bool {
        let mut keys = self.cluster.layout.keys_in(self.block);
        keys.any(|key| self.source().server.is_quarantined(key))
    }

    /// Removes the keys of the slot from the source.
    pub(in super::super) fn evict(&self) {
        for key in self.cluster.layout.keys_in(self.block) {
            self.source().server.remove(key);
        }
    }

    /// Marks the slot at both nodes (`SETSLOT IMPORTING`, `SETSLOT MIGRATING`). Returns
    /// false if it cannot move.
    pub(in super::super) async fn begin(&self) -> bool {
        let (block, from, to) = (self.block, self.from, self.to);
        let import = |node: &Arc<Node>| {
            let mut view = node.view.lock();
            view.owners[block] != Some(to) && view.importing.insert(block, from).is_none()
        };
        let migrate = |node: &Arc<Node>| {
            let mut view = node.view.lock();
            let is_owner = view.owners[block] == Some(from);
            let is_to_primary = view.peers[to].primary.is_none();
            is_owner && is_to_primary && view.migrating.insert(block, to).is_none()
        };
        let imports = self.command(to, import).await == Some(true);
        let migrates = self.command(from, migrate).await == Some(true);
        if imports && !migrates {
            self.target().view.lock().importing.remove(&block);
        }
        imports && migrates
    }

    /// Moves the keys of the slot (`MIGRATE`). If `is_cut`, the acknowledgement is
    /// lost, and both nodes have the key. A key that the target has is replaced only
    /// if `replaces`.
    pub(in super::super) async fn move_keys(&self, is_cut: bool, replaces: bool) {
        sleep(self.cluster.group.mesh.delay()).await;
        let (source, target) = (&self.source().server, &self.target().server);
        let both = [self.source(), self.target()];
        let mesh = &self.cluster.group.mesh;
        if !mesh.connects(self.from, self.to) || !both.iter().all(|it| it.machine().replies()) {
            return;
        }
        if !self
            .target()
            .view
            .lock()
            .importing
            .contains_key(&self.block)
        {
            return;
        }
        for key in self.cluster.layout.keys_in(self.block) {
            if target.has(key) && !replaces {
                continue;
            }
            if let Some(moved) = source.export(key) {
                target.import(key, moved);
                if !is_cut {
                    source.remove(key);
                }
            }
        }
    }

    /// Makes the target the owner (`SETSLOT NODE`), first there or first at the source.
    pub(in super::super) async fn finish(&self, source_first: bool) {
        let mut order = [self.to, self.from];
        if source_first {
            order.reverse();
        }
        for node in order {
            let assigned = self.command(node, |node| self.assign(node)).await;
            // A source that still has keys refuses.
            if source_first && node == self.from && assigned != Some(true) {
                return;
            }
        }
    }

    fn assign(&self, node: &Arc<Node>) -> bool {
        let (block, mut view) = (self.block, node.view.lock());
        // `Target node is not a master`.
        if view.peers[self.to].primary.is_some() {
            return false;
        }
        if node.number == self.from {
            let keys = self.cluster.layout.keys_in(block);
            let is_owner = view.owners[block] == Some(self.from);
            if is_owner && keys.into_iter().any(|key| node.server.has(key)) {
                return false;
            }
            view.migrating.remove(&block);
        } else if view.importing.remove(&block).is_some() {
            let greatest = view.peers.iter().map(|peer| peer.config_epoch).max();
            if greatest != Some(view.own().config_epoch) {
                view.raise_own_epoch();
            }
        } else {
            return false;
        }
        view.owners[block] = Some(self.to);
        true
    }

    /// Removes the marks (`SETSLOT STABLE`).
    pub(in super::super) async fn cancel(&self) {
        let block = self.block;
        for node in [self.from, self.to] {
            let stable = |node: &Arc<Node>| {
                let mut view = node.view.lock();
                view.migrating.remove(&block);
                view.importing.remove(&block);
            };
            self.command(node, stable).await;
        }
    }

    /// Hands the slot over in one step, with all its keys (an atomic slot migration).
    pub(in super::super) async fn hand_over(&self) {
        sleep(self.cluster.group.mesh.delay()).await;
        let (source, target) = (self.source(), self.target());
        let is_source = source.view.lock().owners[self.block] == Some(self.from);
        let both = [source, target];
        if !is_source
            || !both
                .iter()
                .all(|it| it.machine().replies() && it.view.lock().is_primary())
        {
            return;
        }
        for key in self.cluster.layout.keys_in(self.block) {
            target.server.remove(key);
            if let Some(moved) = source.server.export(key) {
                target.server.import(key, moved);
                source.server.remove(key);
            }
        }
        source.view.lock().migrating.remove(&self.block);
        let mut view = target.view.lock();
        let greatest = view.peers.iter().map(|peer| peer.config_epoch).max();
        if greatest != Some(view.own().config_epoch) {
            view.raise_own_epoch();
        }
        view.importing.remove(&self.block);
        view.owners[self.block] = Some(self.to);
        source.view.lock().owners[self.block] = Some(self.to);
    }
}

/// Draws a migration of a slot that has a key of the world.
pub(in super::super) fn draw<'a>(
    cluster: &'a Arc<Cluster>,
    rng: &mut Rng,
) -> Option<Migration<'a>> {
    let block = *rng.choice(&cluster.layout.used())?;
    let from = cluster.owner(block, &[])?;
    let others = (0..cluster.nodes.len())
        .filter(|node| *node != from && cluster.nodes[*node].view.lock().has_vote(*node));
    let to = rng.choice(others.collect::<Vec<_>>())?;
    Some(Migration {
        cluster,
        block,
        from,
        to,
    })
}
