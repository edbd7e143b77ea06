//! Decisions of the shards' circuit breakers.

use tokio::time::Instant;

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::{Op, Traffic};
use crate::tiers::shard::Shard;
use crate::trust::breaker::Probing;

impl Tiers {
    /// Returns true if a read may use Redis, false if it should bypass Redis to
    /// let it recover. Call it once per read, and only if nothing else closes
    /// the key.
    pub(crate) fn admits_read(&self) -> bool {
        self.shard.breaker.admits()
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

    /// Probes a shard with a writing script and a read. Both use two unused
    /// keys, because a server in cluster mode accepts operations on one key and
    /// refuses others.
    async fn is_writable(&self, shard: &Shard) -> bool {
        let keys = ["probe", "probe:2"].map(|name| Key::new(&self.namespace().own_key(name)));
        let mut ops: Vec<Op> = keys
            .iter()
            .map(|key| Op::Invalidate {
                key: key.clone(),
                message: self.message(key),
            })
            .collect();
        ops.push(Op::GetMany {
            keys: keys.to_vec(),
        });
        // Not counted, because it runs with every PING while Redis refuses.
        let replies = shard.send_uncounted(Traffic::Writes, ops).await;
        replies.is_ok_and(|replies| replies.iter().all(Result::is_ok))
    }
}
