//! From single nodes to a cluster, without `redis-cli`.

use std::time::Duration;

use super::RedisCluster;
use super::view::roles;
use crate::redis::resp::Reply;
use crate::wait::poll_until;

/// The number of slots of every cluster.
const SLOTS: usize = 16_384;

impl RedisCluster {
    /// Gives each primary its slots and its config epoch, lets all nodes meet,
    /// and attaches the replicas.
    pub(super) fn form(&self, primaries: usize, within: Duration) -> Result<(), String> {
        for primary in 0..primaries {
            let (first, end) = (
                primary * SLOTS / primaries,
                (primary + 1) * SLOTS / primaries,
            );
            // ADDSLOTSRANGE is absent in Redis 6.2.
            let slots = (first..end).map(|slot| slot.to_string());
            let words = ["CLUSTER", "ADDSLOTS"].map(str::to_owned);
            self.ask(primary, words.into_iter().chain(slots))?;
            // Different ones from the start: equal ones take the nodes rounds of
            // gossip to tell apart.
            self.tell(primary, &["SET-CONFIG-EPOCH", &(primary + 1).to_string()])?;
        }
        for node in 1..self.nodes.len() {
            self.introduce(0, node)?;
        }
        poll_until(within, || self.all_know_each_other())?;
        for replica in primaries..self.nodes.len() {
            let primary = (replica - primaries) % primaries;
            self.tell(replica, &["REPLICATE", &self.ids[primary]])?;
        }
        poll_until(within, || self.agreement())
    }

    /// Lets two nodes meet; the others hear of it by gossip.
    pub(super) fn introduce(&self, one: usize, other: usize) -> Result<(), String> {
        let other = &self.nodes[other];
        let [port, bus] = [other.port(), other.bus_port()].map(|port| port.to_string());
        self.tell(one, &["MEET", "127.0.0.1", &port, &bus])?;
        Ok(())
    }

    pub(super) fn all_know_each_other(&self) -> Result<(), String> {
        let running = self.running();
        for &node in &running {
            let lines = self.view(node)?;
            let known = lines.iter().filter(|line| !line.has("handshake"));
            let known: Vec<&str> = known.map(|line| &*line.id).collect();
            if let Some(other) = running.iter().find(|&&it| !known.contains(&&*self.ids[it])) {
                return Err(format!("node {node} does not know node {other}"));
            }
        }
        Ok(())
    }

    /// Succeeds if all running nodes say that the cluster works, agree on the
    /// owners of slots and on replicas, and all replicas are connected.
    pub(super) fn agreement(&self) -> Result<(), String> {
        let mut agreed: Option<Vec<String>> = None;
        for node in self.running() {
            let info = self.tell(node, &["INFO"])?;
            if !info.text().unwrap_or_default().contains("cluster_state:ok") {
                return Err(format!("node {node} does not say cluster_state:ok"));
            }
            let lines = self.view(node)?;
            let seen = roles(&lines);
            if *agreed.get_or_insert_with(|| seen.clone()) != seen {
                return Err(format!("node {node} says {seen:?}, another {agreed:?}"));
            }
            let own = lines.iter().find(|line| line.has("myself"));
            if own.is_some_and(|own| own.has("slave")) {
                let info = self.ask(node, ["INFO", "replication"].map(str::to_owned))?;
                if !info
                    .text()
                    .unwrap_or_default()
                    .contains("master_link_status:up")
                {
                    return Err(format!("the replica {node} is not connected"));
                }
            }
        }
        Ok(())
    }

    /// Sends a CLUSTER command; a refusal is an error.
    pub(super) fn tell(&self, node: usize, words: &[&str]) -> Result<Reply, String> {
        let words = [&["CLUSTER"][..], words].concat();
        self.ask(node, words.into_iter().map(str::to_owned))
    }

    fn ask(&self, node: usize, words: impl IntoIterator<Item = String>) -> Result<Reply, String> {
        let words: Vec<String> = words.into_iter().collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match self.nodes[node].try_command(&words) {
            Ok(Reply::Error(refusal)) => Err(format!("node {node} refused: {refusal}")),
            Ok(reply) => Ok(reply),
            Err(error) => Err(format!("node {node} does not reply: {error}")),
        }
    }
}
