//! What the circuit breakers of the shards decide.

use tokio::time::Instant;

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::{Op, Traffic};
use crate::tiers::shard::Shard;
use crate::trust::breaker::Probing;

impl Tiers {
    /// Returns true if a read that may be answered by Redis should ask it, and
    /// false to let a slow server recover. To be asked once per read, and only
    /// where nothing else closes the key.
    pub(crate) fn admits_read(&self) -> bool {
        self.shard.breaker.admits()
    }

    /// Returns true if a PONG that has just come from a shard may end suspicions: a
    /// server that refused something, or for which the breaker is open, has to take
    /// a write and a read before. `refused` is true if a refusal raised one of the
    /// suspicions.
    pub(crate) async fn believes_pong(&self, shard: &Shard, refused: bool) -> bool {
        match shard.breaker.probing() {
            Probing::NotNeeded => !refused || self.is_writable(shard).await,
            Probing::NotYet => false,
            Probing::Due => {
                let begun = Instant::now();
                let succeeded = self.is_writable(shard).await;
                // Before the PONG counts: the first reads find the ramp.
                shard.breaker.probed(succeeded, begun.elapsed());
                shard.breaker.probing() == Probing::NotNeeded
            }
        }
    }

    /// Returns true if a shard takes a script that writes, and a read. Tries both
    /// on two keys that nothing else uses, since a server in cluster mode accepts a
    /// call on one key, and refuses the rest.
    async fn is_writable(&self, shard: &Shard) -> bool {
        let key = |name| Key::new(&format!("{}{name}", self.prefix("aside")));
        let keys = vec![key("probe"), key("probe:2")];
        let mut ops: Vec<Op> = keys
            .iter()
            .map(|key| Op::Invalidate {
                key: key.clone(),
                message: self.message(key),
            })
            .collect();
        ops.push(Op::GetMany { keys });
        // Uncounted: it is asked at every PING for as long as Redis refuses.
        let replies = shard.send_uncounted(Traffic::Writes, ops).await;
        replies.is_ok_and(|replies| replies.iter().all(Result::is_ok))
    }
}
