//! Decisions of the shards' circuit breakers.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::message::Why;
use crate::protocol::{Op, Traffic};
use crate::tiers::shard::Shard;
use crate::trust::breaker::Probing;

/// Which shards admit the reads of one batch.
#[derive(Default)]
pub(crate) struct Admissions(BTreeMap<u16, bool>);

impl Tiers {
    /// Returns true if a read may use Redis, false if it should bypass Redis to
    /// let it recover. Call it once per read, and only if nothing else closes
    /// the key.
    pub(crate) fn admits_read(&self, key: &Key) -> bool {
        self.map().shard_of(key).breaker.admits()
    }

    /// The same for one key of a batch: `admissions` has the decisions of the batch so
    /// far, one for each shard.
    pub(crate) fn admits_in_batch(&self, key: &Key, admissions: &mut Admissions) -> bool {
        let map = self.map();
        let shard = map.shard_of(key);
        let drawn = admissions.0.entry(shard.link.number());
        *drawn.or_insert_with(|| shard.breaker.admits())
    }

    /// Returns true if a PONG of a shard may end suspicions. A server that
    /// refused an operation, or whose breaker is open, must first accept a
    /// write and a read. `refused` is true if a refusal caused one of the
    /// suspicions.
    pub(crate) async fn may_trust_pong(&self, shard: &Shard, refused: bool) -> bool {
        match shard.breaker.probing() {
            Probing::NotNeeded => !refused || self.is_writable(shard).await,
            Probing::NotYet => false,
            Probing::Due => {
                let begun = Instant::now();
                let succeeded = self.is_writable(shard).await;
                // Before the PONG counts, so that the first reads find the
                // ramp.
                shard.breaker.probed(succeeded, begun.elapsed());
                shard.breaker.probing() == Probing::NotNeeded
            }
        }
    }

    /// Probes a shard with a writing script and a read of unused keys. Outside a
    /// cluster there are two keys, because a server in cluster mode accepts
    /// operations on one key and refuses others.
    async fn is_writable(&self, shard: &Shard) -> bool {
        let map = self.map();
        let names = match map.is_cluster() {
            true => &["probe"][..],
            false => &["probe", "probe:2"],
        };
        let keys = names
            .iter()
            .map(|name| map.own_key(shard, self.namespace(), name));
        let Some(keys) = keys.collect::<Option<Vec<Key>>>() else {
            return false;
        };
        let mut ops: Vec<Op> = keys
            .iter()
            .map(|key| Op::Invalidate {
                key: key.clone(),
                message: self.message(key, Why::Probe),
            })
            .collect();
        ops.push(match &keys[..] {
            [key] => Op::Get { key: key.clone() },
            _ => Op::GetMany { keys },
        });
        // Not counted, because it runs with every PING while Redis refuses.
        let replies = shard.send_uncounted(Traffic::Writes, ops).await;
        replies.is_ok_and(|replies| replies.iter().all(Result::is_ok))
    }
}
