//! Epochs and eras: invalidation of many copies at once.
//!
//! A single primary holds them in one hash. A cluster has three copies of it in
//! slots that are far apart, because a failover of one node may lose its copy's
//! last change. An epoch counts as raised if two copies hold it, on two nodes where
//! there are two, and every primary has published it. An instance reads two copies
//! after each subscription, so one of them has it.

use std::collections::BTreeSet;

use aside_redis::cluster::{SLOTS, slot_of};
use futures_util::future::join_all;

use super::Tiers;
use crate::entity::key::Key;
use crate::entity::namespace::Namespace;
use crate::protocol::message::{self, Why};
use crate::protocol::{Begin, Bump, Era, Op, Reply, Traffic, Unanswered};
use crate::tiers::shard::Shard;

/// The number of copies in a cluster.
const COPIES: u16 = 3;

/// How far the slot of a copy may be from its place. About one key in sixteen fits.
const NEAR: u16 = SLOTS / 32;

/// Returns the keys of the hashes that hold the epochs.
pub(crate) fn keys(namespace: Namespace<'_>, is_cluster: bool) -> Vec<Key> {
    let first = Key::of_epochs(namespace);
    if !is_cluster {
        return vec![first];
    }
    let begin = slot_of(first.as_str().as_bytes());
    let copy = |number: u16| {
        let place = (begin + number * (SLOTS / COPIES)) % SLOTS;
        let is_near = |key: &Key| {
            let distance = slot_of(key.as_str().as_bytes()).abs_diff(place);
            distance.min(SLOTS - distance) <= NEAR
        };
        let named = |name: u32| Key::new(&namespace.own_key(&format!("epochs:{name}")));
        (1..).map(named).find(is_near)
    };
    let others = (1..COPIES).filter_map(copy);
    std::iter::once(first.clone()).chain(others).collect()
}

impl Tiers {
    /// Raises the epoch of a kind, which invalidates all of it at once, or
    /// ensures that the kind has one. Returns the epoch.
    ///
    /// # Errors
    /// Redis did not acknowledge it, or returned an implausible epoch; it may
    /// be repeated.
    pub(crate) async fn bump(&self, kind: &str, how: Bump, why: Why) -> Result<u64, Unanswered> {
        let first = self.bump_copy(&self.epoch_keys[0], kind, (how, why)).await;
        if self.epoch_keys.len() == 1 {
            let epoch = first?;
            return self.adopted(kind, epoch);
        }
        self.bump_copies(kind, (how, why), first).await
    }

    /// Raises the epoch in the other copies, and notifies every primary.
    async fn bump_copies(
        &self,
        kind: &str,
        (how, why): (Bump, Why),
        first: Result<u64, Unanswered>,
    ) -> Result<u64, Unanswered> {
        let (mut raised, mut begun) = (first.ok(), 1);
        // The first copy that answers determines the number.
        while raised.is_none() && begun < self.epoch_keys.len() {
            raised = self
                .bump_copy(&self.epoch_keys[begun], kind, (how, why))
                .await
                .ok();
            begun += 1;
        }
        let Some(epoch) = raised else {
            return Err(Unanswered::Disconnected);
        };
        // No instance has cached the kind.
        if epoch == 0 {
            return Ok(0);
        }
        self.adopted(kind, epoch)?;
        let holder = begun - 1;
        let others = self.epoch_keys.iter().enumerate();
        let others = others.filter(|(at, _)| *at != holder).map(|(_, key)| key);
        let copy = |key| self.bump_copy(key, kind, (Bump::ToKnown, why));
        let copied = join_all(others.clone().map(copy)).await;
        let acknowledged = others.zip(copied);
        let acknowledged = acknowledged.filter_map(|(key, copied)| copied.is_ok().then_some(key));
        let mut holders: Vec<&Key> = acknowledged.collect();
        holders.push(&self.epoch_keys[holder]);
        self.is_held(&holders)?;
        self.publish_epoch(kind, (epoch, why), &holders).await?;
        Ok(epoch)
    }

    /// Checks that enough copies hold an epoch: two on different nodes. In a
    /// cluster of up to two primaries that is all of them.
    fn is_held(&self, holders: &[&Key]) -> Result<(), Unanswered> {
        let wanted = match self.map().shards().len() {
            0..=2 => self.epoch_keys.len(),
            _ => 2,
        };
        match wanted <= holders.len() {
            true => Ok(()),
            false => Err(Unanswered::Disconnected),
        }
    }

    /// Publishes an epoch at every primary that holds no copy. The script has
    /// published it at the others.
    async fn publish_epoch(
        &self,
        kind: &str,
        (epoch, why): (u64, Why),
        holders: &[&Key],
    ) -> Result<(), Unanswered> {
        let map = self.map();
        let number = |shard: &Shard| shard.link.number();
        let told: BTreeSet<u16> = holders
            .iter()
            .map(|key| number(map.shard_of(key)))
            .collect();
        let publish = |shard: std::sync::Arc<Shard>| {
            let message = message::epoch_of(self.instance, epoch, kind, why);
            async move {
                shard
                    .send_one(Traffic::Writes, Op::Publish { message })
                    .await
            }
        };
        let others = map.shards().iter();
        let others = others
            .filter(|shard| !told.contains(&number(shard)))
            .cloned();
        let replies = join_all(others.map(publish)).await;
        replies.into_iter().try_for_each(|reply| reply.map(drop))
    }

    async fn bump_copy(&self, copy: &Key, kind: &str, how: (Bump, Why)) -> Result<u64, Unanswered> {
        let op = self.bump_op(copy, kind, how);
        match self.send_one(Traffic::Writes, op).await? {
            Reply::Epoch(epoch) => Ok(epoch),
            _ => Err(Unanswered::Disconnected),
        }
    }

    fn adopted(&self, kind: &str, epoch: u64) -> Result<u64, Unanswered> {
        let adopted = self.epochs.adopt(kind, epoch);
        adopted.map_or(Err(Unanswered::Disconnected), |()| Ok(epoch))
    }

    /// Raises the epoch of a kind, whether it is cached here or not. A kind
    /// that is not cached here and has no epoch gets none, because an instance
    /// that caches it will create a greater one. Returns the epoch; zero for
    /// none.
    ///
    /// # Errors
    /// As of [`bump`](Self::bump).
    pub(crate) async fn raise_epoch(&self, kind: &str, why: Why) -> Result<u64, Unanswered> {
        let how = match self.epochs.known(kind) {
            Some(_) => Bump::Always,
            None => Bump::IfThere,
        };
        self.bump(kind, how, why).await
    }

    pub(crate) fn bump_op(&self, copy: &Key, kind: &str, (how, why): (Bump, Why)) -> Op {
        Op::Bump {
            key: copy.clone(),
            kind: kind.to_owned(),
            known: self.epochs.known(kind).unwrap_or(0),
            how,
            message: message::bump(self.instance, why),
            era: Era::random(),
        }
    }

    /// Begins another era, which invalidates all earlier values.
    ///
    /// # Errors
    /// Redis did not acknowledge it; it may be repeated.
    pub(crate) async fn begin_era(&self) -> Result<(), Unanswered> {
        let begin = |copy: &Key| {
            self.send_one(
                Traffic::Writes,
                Op::History {
                    key: copy.clone(),
                    era: Some((Era::random(), Begin::Always)),
                    known: None,
                },
            )
        };
        let replies = join_all(self.epoch_keys.iter().map(begin)).await;
        for (copy, reply) in replies.into_iter().enumerate() {
            match reply? {
                Reply::History { era, .. } => self.learn_era(copy, era),
                _ => return Err(Unanswered::Disconnected),
            }
        }
        Ok(())
    }

    /// Records the era in one copy. The era of values is all of them together: a copy
    /// that loses its last change does not bring an earlier one back.
    pub(crate) fn learn_era(&self, copy: usize, era: Era) {
        let together = {
            let mut eras = self.eras.lock();
            eras[copy] = era.0;
            together(&eras)
        };
        let map = self.map();
        // For every shard, not only up to the first with a new era.
        let changed = map.all().filter(|shard| shard.link.learn_era(together));
        if changed.count() > 0 {
            // Removed before an epoch is lowered, because entries that it
            // invalidated must not become valid again.
            self.empty_local();
            self.epochs.forget_implausible();
        }
    }

    /// Returns the last known era of values; zero for the first.
    pub(crate) fn era(&self) -> u64 {
        together(&self.eras.lock())
    }

    /// Returns the last known era in one copy; zero for the first.
    pub(crate) fn era_in(&self, copy: usize) -> u64 {
        self.eras.lock()[copy]
    }
}

/// Returns one number for the eras in all copies; for one copy it is that era.
fn together(eras: &[u64]) -> u64 {
    const TURN: u32 = 21;
    let each = eras.iter().rev();
    each.fold(0, |together: u64, era| together.rotate_left(TURN) ^ era)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copies_of_the_epochs_are_far_apart() {
        for namespace in ["", "prod", "a:b"].map(Namespace) {
            let keys = keys(namespace, true);
            let slots: Vec<u16> = keys
                .iter()
                .map(|key| slot_of(key.as_str().as_bytes()))
                .collect();
            for (at, one) in slots.iter().enumerate() {
                for other in &slots[at + 1..] {
                    let distance = one.abs_diff(*other);
                    assert!(SLOTS / 4 < distance.min(SLOTS - distance), "{slots:?}");
                }
            }
            assert_eq!(keys[..1], super::keys(namespace, false)[..]);
        }
    }

    #[test]
    fn a_copy_that_loses_its_era_does_not_bring_an_earlier_one_back() {
        let (before, after) = ([1, 2, 3], [4, 5, 6]);
        for lost in 0..3 {
            let mut eras = after;
            eras[lost] = before[lost];
            assert!(
                ![before, after]
                    .map(|eras| together(&eras))
                    .contains(&together(&eras))
            );
        }
        assert_eq!(together(&[7]), 7);
    }
}
