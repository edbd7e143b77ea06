//! All shards together.
//!
//! A caller with a key uses the shard of that key; a caller that concerns all
//! of Redis uses all shards at once. Only this file and `shard_map` know that
//! there may be several.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::{join_all, select_all};

use super::Tiers;
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::insight::statistics::Unavailable;
use crate::protocol::{Op, Replies, Reply, Traffic, Unanswered};
use crate::tiers::kind::{Kind, ReadContext};
use crate::tiers::pending::Pending;
use crate::tiers::shard::Shard;
use crate::tiers::shard::batch_gets::Got;
use crate::tiers::shard_map::ShardMap;
use crate::trust::breaker::BreakerState;
use crate::trust::generations::Stamp;

/// How many suspicions each shard's PONGs had answered at one moment.
pub(crate) struct Proved {
    map: Arc<ShardMap>,
    suspicions: Vec<u64>,
}

impl Tiers {
    /// Returns the shards, and which of them owns a key, at this moment.
    pub(crate) fn map(&self) -> Arc<ShardMap> {
        self.shards.get()
    }

    /// Returns the shard that owns a key.
    pub(crate) fn shard_of(&self, key: &Key) -> Arc<Shard> {
        Arc::clone(self.map().shard_of(key))
    }

    /// Returns the history of the server that owns a key. Read it before an
    /// operation is sent; see [`Tiers::confirm_later`].
    pub(crate) fn history_for(&self, key: &Key) -> u64 {
        self.map().shard_of(key).link.server_history()
    }

    /// Returns the history that a value under this key must have.
    pub(crate) fn history_of_values(&self, key: &Key) -> u64 {
        self.shard_of(key).link.history()
    }

    /// Returns the stamp of an entry whose read begins now.
    pub(crate) fn stamp(&self, key: &Key) -> Stamp {
        let number = self.map().shard_of(key).link.number();
        self.generations.stamp(key.hash(), number)
    }

    /// Returns the generations and conditions of a read that begins now.
    pub(crate) fn read_context<E: Entity>(&self, kind: &Kind<E>, key: &Key) -> ReadContext {
        let map = self.map();
        let shard = map.shard_of(key);
        ReadContext {
            stamp: self.generations.stamp(key.hash(), shard.link.number()),
            fill_context: kind.fill_context(key, shard.link.history()),
        }
    }

    /// Returns true if every key has a shard, and every shard may be used.
    pub(crate) fn is_usable(&self) -> bool {
        let is_usable = self.map().is_usable();
        if !is_usable {
            self.tasks.revive();
        }
        is_usable
    }

    /// Returns true if the shard of a key may be used.
    pub(crate) fn is_usable_for(&self, key: &Key) -> bool {
        self.may_ask(self.map().shard_of(key))
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

    /// Returns which copies of the epochs a shard holds.
    pub(crate) fn copies_of(&self, shard: &Shard) -> Vec<usize> {
        let map = self.map();
        let is_its = |key: &Key| std::ptr::eq(&**map.shard_of(key), shard);
        let keys = self.epoch_keys.iter().enumerate();
        keys.filter_map(|(copy, key)| is_its(key).then_some(copy))
            .collect()
    }

    /// Runs one operation on the shard of its key; see [`Shard::send_one`].
    pub(crate) async fn send_one(&self, traffic: Traffic, op: Op) -> Result<Reply, Unanswered> {
        let map = self.map();
        match (op.key(), map.only()) {
            (_, Some(shard)) => shard.send_one(traffic, op).await,
            (Some(_), None) => {
                let mut replies = self.send(traffic, vec![op]).await;
                match replies.pop() {
                    Some(Ok(reply)) => Ok(reply),
                    Some(Err(failure)) => Err(failure.unanswered()),
                    None => Err(Unanswered::NotSent),
                }
            }
            (None, None) => Err(Unanswered::NotSent),
        }
    }

    /// Runs an operation without a key on every shard, all at once.
    ///
    /// # Errors
    /// A shard did not acknowledge it.
    pub(crate) async fn send_to_all(&self, traffic: Traffic, op: &Op) -> Result<(), Unanswered> {
        let map = self.map();
        let send = |shard: &Arc<Shard>| {
            let (shard, op) = (Arc::clone(shard), op.clone());
            async move { shard.send_one(traffic, op).await }
        };
        let replies = join_all(map.shards().iter().map(send)).await;
        replies.into_iter().try_for_each(|reply| reply.map(drop))
    }

    /// Reads the key of a row.
    pub(crate) fn get_row(&self, key: &Key) -> impl Future<Output = Got> + use<> {
        let (shard, key) = (self.shard_of(key), key.clone());
        async move { shard.get_row(&key).await }
    }

    /// Reads a key, at the node that a redirection names. For tests that leave the rule
    /// out by which reads stay.
    #[cfg(test)]
    pub(crate) async fn get_following(&self, key: &Key) -> Got {
        let get = vec![Op::Get { key: key.clone() }];
        match self.send(Traffic::Rows, get).await.pop() {
            Some(Ok(Reply::Value(bytes))) => Ok(bytes),
            _ => Err(Unanswered::NotSent),
        }
    }

    /// Reads the key of a list.
    pub(crate) fn get_list(&self, key: Key) -> impl Future<Output = Got> + use<> {
        let shard = self.shard_of(&key);
        async move { shard.get_list(key).await }
    }

    /// Reads the keys of several rows or lists, those of each shard at the same time,
    /// with as few commands as possible.
    pub(crate) async fn get_many(&self, traffic: Traffic, keys: Vec<Key>) -> Vec<Got> {
        let map = self.map();
        if let Some(shard) = map.only() {
            return shard.get_many(traffic, keys).await;
        }
        let asked = keys.len();
        let parts = map.split(keys, |key| Some(map.shard_of(key)));
        let get = |part: crate::tiers::shard_map::Part<Key>| async move {
            (part.places, part.shard.get_many(traffic, part.items).await)
        };
        let mut got: Vec<Got> = vec![Err(Unanswered::NotSent); asked];
        for (places, found) in join_all(parts.into_iter().map(get)).await {
            for (place, found) in places.into_iter().zip(found) {
                got[place] = found;
            }
        }
        got
    }

    /// Queues an operation until Redis acknowledges it.
    pub(crate) fn retry_later(&self, pending: Pending) {
        self.tasks.revive();
        self.map().shard_of_pending(&pending).pending.add(pending);
    }

    /// Returns true if no queued operation could be sent now.
    pub(crate) fn is_drained(&self) -> bool {
        let map = self.map();
        map.all().all(|shard| shard.pending.is_empty())
    }

    /// Sends operations about a key to its shard, whether it is trusted or not.
    /// They must be reads, or reports that no answer to a caller depends on.
    pub(crate) async fn ask_distrusted(&self, key: &Key, ops: Vec<Op>) -> Option<Replies> {
        let shard = self.shard_of(key);
        shard.send_uncounted(Traffic::Others, ops).await.ok()
    }

    /// Returns true if a connection to the shard of a key is open, whether it is
    /// trusted or not.
    pub(crate) fn is_reachable_for(&self, key: &Key) -> bool {
        let shard = self.shard_of(key);
        shard.tier.as_ref().is_some_and(|tier| tier.is_reachable())
    }

    /// Makes every suspicion last until the journal has been drained as well.
    pub(crate) fn require_drain(&self) {
        self.journalled_shards.store(true, Ordering::Release);
        for shard in self.map().all() {
            shard.link.require_drain();
        }
    }

    /// Returns true if a journal is drained here.
    pub(crate) fn is_journalled(&self) -> bool {
        self.journalled_shards.load(Ordering::Acquire)
    }

    /// Returns how many suspicions PONGs have answered. Read it before the
    /// SELECT that drains the journal; see [`Tiers::drained`].
    pub(crate) fn proved(&self) -> Proved {
        let map = self.map();
        let proved = map.shards().iter().map(|shard| shard.link.proved());
        let suspicions = proved.collect();
        Proved { map, suspicions }
    }

    /// Records that every row in the journal has been applied, except for rows of
    /// the shards with the numbers `behind`. Nothing is recorded if slots have moved
    /// meanwhile: a row may have been applied to a shard that owns its key no more.
    pub(crate) fn drained(&self, proved: &Proved, behind: &BTreeSet<u16>) {
        if !Arc::ptr_eq(&proved.map, &self.map()) {
            return;
        }
        for (shard, proved) in proved.map.shards().iter().zip(&proved.suspicions) {
            if !behind.contains(&shard.link.number()) {
                shard.link.drained(*proved);
            }
        }
    }

    /// Returns a future that waits for a PONG whose suspicion lasts only
    /// because of the journal, or for other shards. It does not keep the service
    /// alive.
    pub(crate) fn undrained(&self) -> impl Future<Output = ()> + use<> {
        let mut changes = self.shards.changes();
        let links: Vec<_> = self
            .map()
            .all()
            .map(|shard| Arc::clone(&shard.link))
            .collect();
        async move {
            let undrained = links
                .iter()
                .map(|link| Box::pin(async move { link.undrained().await }));
            tokio::select! {
                biased;
                _ = select_all(undrained) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Sets the generation of every shard.
    #[cfg(test)]
    pub(crate) fn skip_to(&self, generation: u32) {
        for shard in self.map().shards() {
            shard.link.trust().skip_to(generation);
        }
    }

    /// Ends trust for good.
    pub(crate) fn close_links(&self) {
        for shard in self.map().all() {
            shard.link.close();
        }
    }
}
