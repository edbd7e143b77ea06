//! All shards together. This file alone knows how many there are: one.
//!
//! A caller with a key uses the shard of that key; a caller that concerns all
//! of Redis uses all shards at once.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Tiers;
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::insight::statistics::Unavailable;
use crate::protocol::{Failure, Op, Replies, Reply, Traffic, Unanswered};
use crate::tiers::kind::{Kind, ReadContext};
use crate::tiers::pending::Pending;
use crate::tiers::shard::batch_gets::Got;
use crate::tiers::shard::{ServerInfo, Shard};
use crate::trust::breaker::BreakerState;
use crate::trust::generations::Stamp;

/// How many suspicions each shard's PONGs had answered at one moment.
pub(crate) struct Proved(Vec<u64>);

impl Tiers {
    pub(crate) fn shards(&self) -> &[Arc<Shard>] {
        std::slice::from_ref(&self.shard)
    }

    /// Returns the shard that owns a key.
    #[inline]
    pub(crate) fn shard_of(&self, _: &Key) -> &Arc<Shard> {
        &self.shard
    }

    /// Returns the history of the server that owns a key. Read it before an
    /// operation is sent; see [`Tiers::confirm_later`].
    pub(crate) fn history_for(&self, key: &Key) -> u64 {
        self.shard_of(key).link.server_history()
    }

    /// Returns the history that a value under this key must have.
    pub(crate) fn history_of_values(&self, key: &Key) -> u64 {
        self.shard_of(key).link.history()
    }

    /// Returns the stamp of an entry whose read begins now.
    pub(crate) fn stamp(&self, key: &Key) -> Stamp {
        let number = self.shard_of(key).link.number();
        self.generations.stamp(key.hash(), number)
    }

    /// Returns the generations and conditions of a read that begins now.
    pub(crate) fn read_context<E: Entity>(&self, kind: &Kind<E>, key: &Key) -> ReadContext {
        let shard = self.shard_of(key);
        ReadContext {
            stamp: self.generations.stamp(key.hash(), shard.link.number()),
            fill_context: kind.fill_context(key, shard.link.history()),
        }
    }

    /// Returns true if the cache is enabled.
    #[inline]
    pub(crate) fn is_enabled(&self) -> bool {
        self.shard.tier.is_some()
    }

    /// Returns true if values are shared through a server.
    #[inline]
    pub(crate) fn is_remote(&self) -> bool {
        self.shard.link.is_remote()
    }

    /// Returns true if every shard may be used.
    pub(crate) fn is_usable(&self) -> bool {
        let is_usable = self.shards().iter().all(|shard| shard.is_usable());
        if !is_usable {
            self.tasks.revive();
        }
        is_usable
    }

    /// Returns true if the shard of a key may be used.
    pub(super) fn is_usable_for(&self, key: &Key) -> bool {
        self.may_ask(self.shard_of(key))
    }

    /// Returns true if this shard may be used.
    pub(crate) fn may_ask(&self, shard: &Shard) -> bool {
        let is_usable = shard.is_usable();
        if !is_usable {
            self.tasks.revive();
        }
        is_usable
    }

    /// Returns the state of the shard of a key that is bypassed.
    pub(crate) fn unavailable(&self, key: &Key, epoch: u64) -> Unavailable {
        let shard = self.shard_of(key);
        let is_away = !shard.tier.as_ref().is_some_and(|tier| tier.is_reachable());
        if is_away {
            Unavailable::Away
        } else if shard.breaker.state() != BreakerState::Closed {
            Unavailable::Breaker
        } else if shard.link.is_suspect() {
            Unavailable::Suspect
        } else if !shard.link.is_usable() {
            Unavailable::Unproved
        } else if epoch == 0 {
            Unavailable::EpochUnknown
        } else {
            Unavailable::Unanswered
        }
    }

    /// Returns the shard that holds the epochs of all kinds.
    fn shard_of_epochs(&self) -> &Arc<Shard> {
        &self.shard
    }

    /// Runs `ops` as one pipeline. Returns the result of each, in their order.
    pub(crate) async fn send(&self, traffic: Traffic, ops: Vec<Op>) -> Vec<Result<Reply, Failure>> {
        let asked = ops.len();
        // To one shard. Several would each get their part at the same time.
        match self.shard.send(traffic, ops).await {
            Ok(replies) => {
                let each = replies.into_iter();
                each.map(|reply| reply.map_err(Failure::Refused)).collect()
            }
            Err(unanswered) => vec![Err(Failure::Unanswered(unanswered)); asked],
        }
    }

    /// Runs one operation; see [`Shard::send_one`].
    pub(crate) async fn send_one(&self, traffic: Traffic, op: Op) -> Result<Reply, Unanswered> {
        self.shard.send_one(traffic, op).await
    }

    /// Reads the key of a row.
    pub(crate) fn get_row(&self, key: &Key) -> impl Future<Output = Got> {
        self.shard_of(key).get_row(key)
    }

    /// Reads the key of a list.
    pub(crate) fn get_list(&self, key: Key) -> impl Future<Output = Got> {
        self.shard_of(&key).get_list(key)
    }

    /// Reads the keys of several rows with as few MGETs as possible.
    pub(crate) fn get_many(&self, keys: Vec<Key>) -> impl Future<Output = Vec<Got>> {
        self.shard.get_many(keys)
    }

    /// Queues an operation until Redis acknowledges it.
    pub(crate) fn retry_later(&self, pending: Pending) {
        self.tasks.revive();
        let shard = match &pending {
            Pending::Release { key, .. } | Pending::Abandon { key, .. } => self.shard_of(key),
            Pending::WholeKind { .. } => self.shard_of_epochs(),
        };
        shard.pending.add(pending);
    }

    /// Returns true if no queued operation could be sent now.
    pub(crate) fn is_drained(&self) -> bool {
        self.shards().iter().all(|shard| shard.pending.is_empty())
    }

    /// Returns the last reported state of the server.
    pub(crate) fn server_info(&self) -> ServerInfo {
        self.shard.info.lock().clone().unwrap_or_default()
    }

    /// Returns the reason why a shard is bypassed, or last was, and for how
    /// long Redis has not been used; `None` while it is.
    pub(crate) fn outage(&self) -> (String, Option<Duration>) {
        let shards = self.shards();
        let away = shards.iter().find(|shard| !shard.is_usable());
        let link = &away.unwrap_or(&shards[0]).link;
        (link.reason(), link.unused_for())
    }

    /// Returns the age of the oldest of the shards' last proofs; `None` if
    /// there is none, or no server.
    pub(crate) fn proof_age(&self) -> Option<Duration> {
        let ages = self.shards().iter().map(|shard| shard.link.proof_age());
        ages.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Returns the number of suspicions of each reason, over all shards.
    pub(crate) fn suspicions(&self) -> BTreeMap<&'static str, u64> {
        let mut suspicions = BTreeMap::new();
        let shards = self.shards().iter();
        for (reason, count) in shards.flat_map(|shard| shard.link.suspicions_by_reason()) {
            *suspicions.entry(reason).or_default() += count;
        }
        suspicions
    }

    /// Returns how many queued operations could be sent now.
    pub(crate) fn pending(&self) -> usize {
        let shards = self.shards().iter();
        shards.map(|shard| shard.pending.due_now()).sum()
    }

    /// Returns true if the memory of a server is full.
    pub(crate) fn is_full(&self) -> bool {
        self.shards().iter().any(|shard| shard.is_full())
    }

    /// Sends operations about a key to its shard, whether it is trusted or not.
    /// They must be reads.
    pub(crate) async fn ask_distrusted(&self, key: &Key, ops: Vec<Op>) -> Option<Replies> {
        let shard = self.shard_of(key);
        shard.send_uncounted(Traffic::Others, ops).await.ok()
    }

    /// Returns the state of the breaker that is farthest from closed.
    pub(crate) fn breaker_state(&self) -> BreakerState {
        let states = self.shards().iter().map(|shard| shard.breaker.state());
        let worst = states.max_by_key(|state| state.number());
        worst.unwrap_or(BreakerState::Closed)
    }

    /// Returns how many connections are open.
    pub(crate) fn connections(&self) -> usize {
        let tiers = self.shards().iter().filter_map(|shard| shard.tier.as_ref());
        tiers.map(|tier| tier.connections()).sum()
    }

    /// Returns how many connections for commands are opened at most.
    pub(crate) fn max_connections(&self) -> usize {
        let tiers = self.shards().iter().filter_map(|shard| shard.tier.as_ref());
        tiers.map(|tier| tier.max_connections()).sum()
    }

    /// Returns the longest time that any shard was without a valid proof.
    pub(crate) fn unsynced_total(&self) -> Duration {
        let times = self
            .shards()
            .iter()
            .map(|shard| shard.link.unsynced_total());
        times.max().unwrap_or_default()
    }

    /// Makes every suspicion last until the journal has been drained as well.
    pub(crate) fn require_drain(&self) {
        for shard in self.shards() {
            shard.link.require_drain();
        }
    }

    /// Returns true if a journal is drained here.
    pub(crate) fn is_journalled(&self) -> bool {
        self.shards().iter().any(|shard| shard.link.is_journalled())
    }

    /// Returns how many suspicions PONGs have answered. Read it before the
    /// SELECT that drains the journal; see [`Tiers::drained`].
    pub(crate) fn proved(&self) -> Proved {
        let proved = self.shards().iter().map(|shard| shard.link.proved());
        Proved(proved.collect())
    }

    /// Records that every row in the journal has been applied.
    pub(crate) fn drained(&self, proved: &Proved) {
        for (shard, proved) in self.shards().iter().zip(&proved.0) {
            shard.link.drained(*proved);
        }
    }

    /// Returns a future that waits for a PONG whose suspicion lasts only
    /// because of the journal. It does not keep the service alive.
    pub(crate) fn undrained(&self) -> impl Future<Output = ()> + use<> {
        let link = Arc::clone(&self.shard.link);
        async move { link.undrained().await }
    }

    /// Returns the last known era; zero for the first.
    pub(crate) fn era(&self) -> u64 {
        self.shard.link.era()
    }

    /// Sets the generation of every shard.
    #[cfg(test)]
    pub(crate) fn skip_to(&self, generation: u32) {
        for shard in self.shards() {
            shard.link.trust().skip_to(generation);
        }
    }

    /// Ends trust for good.
    pub(crate) fn close_links(&self) {
        for shard in self.shards() {
            shard.link.close();
        }
    }
}
