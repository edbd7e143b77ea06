//! The state of the shards, for reports and metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aside_redis::cluster::slot_of;

use super::Tiers;
use crate::entity::key::Key;
use crate::tiers::shard::{ServerInfo, Shard};
use crate::trust::breaker::BreakerState;

/// A primary that owns slots, or the one server without a cluster.
pub(crate) struct ShardState {
    /// The labels of its metrics: its place among the shards by lowest slot, which a
    /// failover does not change, and its server. Empty without a cluster.
    pub(crate) labels: Vec<(&'static str, String)>,
    /// The number of its slots; 0 without a cluster.
    pub(crate) slots: usize,
    shard: Arc<Shard>,
}

impl ShardState {
    #[cfg(feature = "ops")]
    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Returns the server, as the log names it.
    pub(crate) fn server(&self) -> &str {
        self.shard.link.server()
    }

    /// Returns true if values may come from it.
    pub(crate) fn is_used(&self) -> bool {
        self.shard.is_usable()
    }

    /// Returns the reason why its keys are read from the database, if they are.
    pub(crate) fn reason(&self) -> Option<String> {
        (!self.is_used()).then(|| self.shard.link.reason())
    }

    pub(crate) fn unused_for(&self) -> Option<Duration> {
        self.shard.link.unused_for()
    }

    pub(crate) fn proof_age(&self) -> Option<Duration> {
        self.shard.link.proof_age()
    }

    pub(crate) fn last_barrier(&self) -> Duration {
        self.shard.last_barrier()
    }

    /// Returns true if a connection to it is open.
    pub(crate) fn is_reachable(&self) -> bool {
        let tier = self.shard.tier.as_ref();
        tier.is_some_and(|tier| tier.is_reachable())
    }

    pub(crate) fn breaker(&self) -> BreakerState {
        self.shard.breaker.state()
    }

    /// Returns how many connections for commands are open.
    pub(crate) fn connections(&self) -> usize {
        let tier = self.shard.tier.as_ref();
        tier.map_or(0, |tier| tier.connections())
    }

    /// Returns how many connections for commands are opened at most.
    pub(crate) fn max_connections(&self) -> usize {
        let tier = self.shard.tier.as_ref();
        tier.map_or(0, |tier| tier.max_connections())
    }

    /// Returns the last report of the server, or zeros.
    pub(crate) fn info(&self) -> ServerInfo {
        self.shard.info.lock().clone().unwrap_or_default()
    }
}

/// The server of a key.
pub(crate) struct Owner {
    /// Its slot; `None` without a cluster.
    pub(crate) slot: Option<u16>,
    /// `None` if the slot has no owner.
    pub(crate) server: Option<String>,
    /// Why the server is bypassed, or last was.
    pub(crate) reason: String,
    /// How long it has not been used; `None` while it is.
    pub(crate) unused_for: Option<Duration>,
}

impl Tiers {
    /// Returns the last reported state of the server; of a cluster, the sum over its
    /// nodes.
    pub(crate) fn server_info(&self) -> ServerInfo {
        let map = self.map();
        let known = map.shards().iter();
        let known = known.filter_map(|shard| shard.info.lock().clone());
        let sum = known.reduce(|sum, info| ServerInfo {
            used_memory_bytes: sum.used_memory_bytes + info.used_memory_bytes,
            // Zero is no limit.
            max_memory_bytes: match (sum.max_memory_bytes, info.max_memory_bytes) {
                (0, _) | (_, 0) => 0,
                (sum, of_node) => sum + of_node,
            },
            evicted_keys: sum.evicted_keys + info.evicted_keys,
            // Several nodes have no address in common.
            address: String::new(),
            ..info
        });
        sum.unwrap_or_default()
    }

    /// Returns the reason why a shard is bypassed, or last was, and for how
    /// long Redis has not been used; `None` while it is.
    pub(crate) fn outage(&self) -> (String, Option<Duration>) {
        let map = self.map();
        let away = map.all().find(|shard| !shard.is_usable());
        let shard = away.or_else(|| map.all().next());
        let outage = |shard: &Arc<Shard>| (reason(shard), shard.link.unused_for());
        shard.map(outage).unwrap_or_default()
    }

    /// Returns the state of each primary that owns slots, by its lowest slot; of the
    /// one server without a cluster.
    pub(crate) fn shard_states(&self) -> Vec<ShardState> {
        let map = self.map();
        let states = map.by_lowest_slot().into_iter().enumerate();
        states
            .map(|(number, (shard, slots))| ShardState {
                labels: match shard.node {
                    Some(_) => vec![
                        ("shard", number.to_string()),
                        ("node", shard.link.server().to_owned()),
                    ],
                    None => Vec::new(),
                },
                slots,
                shard,
            })
            .collect()
    }

    /// Returns the server of a key, and its state.
    pub(crate) fn owner_of(&self, key: &Key) -> Owner {
        let map = self.map();
        let shard = map.shard_of(key);
        let is_of_cluster = map.is_cluster();
        Owner {
            slot: is_of_cluster.then(|| slot_of(key.as_str().as_bytes())),
            server: (!is_of_cluster || shard.node.is_some())
                .then(|| shard.link.server().to_owned()),
            reason: reason(shard),
            unused_for: shard.link.unused_for(),
        }
    }

    /// Returns how many shards are used, and how many are not.
    pub(crate) fn used_and_unused(&self) -> (u64, u64) {
        let map = self.map();
        let used = map
            .shards()
            .iter()
            .filter(|shard| shard.is_usable())
            .count();
        (used as u64, (map.shards().len() - used) as u64)
    }

    /// Returns the age of the oldest of the shards' last proofs; `None` if
    /// there is none, or no server.
    pub(crate) fn proof_age(&self) -> Option<Duration> {
        let map = self.map();
        let ages = map.shards().iter().map(|shard| shard.link.proof_age());
        ages.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Returns the number of suspicions of each reason, over all shards.
    pub(crate) fn suspicions(&self) -> BTreeMap<&'static str, u64> {
        let mut suspicions = BTreeMap::new();
        for shard in self.map().all() {
            for (reason, count) in shard.link.suspicions_by_reason() {
                *suspicions.entry(reason).or_default() += count;
            }
        }
        suspicions
    }

    /// Returns how many queued operations could be sent now.
    pub(crate) fn pending(&self) -> usize {
        self.map().all().map(|shard| shard.pending.due_now()).sum()
    }

    /// Returns true if the memory of a server is full.
    pub(crate) fn is_full(&self) -> bool {
        self.map().shards().iter().any(|shard| shard.is_full())
    }

    /// Returns the state of the breaker that is farthest from closed.
    pub(crate) fn breaker_state(&self) -> BreakerState {
        let map = self.map();
        let states = map.shards().iter().map(|shard| shard.breaker.state());
        let worst = states.max_by_key(|state| state.number());
        worst.unwrap_or(BreakerState::Closed)
    }

    /// Returns how many connections are open.
    pub(crate) fn connections(&self) -> usize {
        let map = self.map();
        let tiers = map.shards().iter().filter_map(|shard| shard.tier.as_ref());
        tiers.map(|tier| tier.connections()).sum()
    }

    /// Returns the longest time that any shard was without a valid proof.
    pub(crate) fn unsynced_total(&self) -> Duration {
        let map = self.map();
        let times = map.shards().iter().map(|shard| shard.link.unsynced_total());
        times.max().unwrap_or_default()
    }
}

/// Returns the reason why a shard is bypassed, or last was. In a cluster it names the
/// server.
fn reason(shard: &Shard) -> String {
    let (reason, server) = (shard.link.reason(), shard.link.server());
    match shard.node.is_some() && !reason.contains(server) {
        true => format!("{server}: {reason}"),
        false => reason,
    }
}
