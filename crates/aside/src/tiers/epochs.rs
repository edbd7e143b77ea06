//! Epochs and eras: invalidation of many copies at once.

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::{Begin, Bump, Era, Op, Reply, Traffic, Unanswered, message};

impl Tiers {
    /// Raises the epoch of a kind, which invalidates all of it at once, or
    /// ensures that the kind has one. Returns the epoch.
    ///
    /// # Errors
    /// Redis did not acknowledge it, or returned an implausible epoch; it may
    /// be repeated.
    pub(crate) async fn bump(&self, kind: &str, how: Bump) -> Result<u64, Unanswered> {
        let op = self.bump_op(kind, how);
        match self.send_one(Traffic::Writes, op).await? {
            Reply::Epoch(epoch) if self.epochs.adopt(kind, epoch).is_ok() => Ok(epoch),
            _ => Err(Unanswered::Disconnected),
        }
    }

    /// Raises the epoch of a kind, whether it is cached here or not. A kind
    /// that is not cached here and has no epoch gets none, because an instance
    /// that caches it will create a greater one. Returns the epoch; zero for
    /// none.
    ///
    /// # Errors
    /// As of [`bump`](Self::bump).
    pub(crate) async fn raise_epoch(&self, kind: &str) -> Result<u64, Unanswered> {
        let how = match self.epochs.known(kind) {
            Some(_) => Bump::Always,
            None => Bump::IfThere,
        };
        self.bump(kind, how).await
    }

    pub(crate) fn bump_op(&self, kind: &str, how: Bump) -> Op {
        Op::Bump {
            key: Key::of_epochs(self.namespace()),
            kind: kind.to_owned(),
            known: self.epochs.known(kind).unwrap_or(0),
            how,
            message: message::bump(self.instance),
            era: Era::random(),
        }
    }

    /// Begins another era, which invalidates all earlier values.
    ///
    /// # Errors
    /// Redis did not acknowledge it; it may be repeated.
    pub(crate) async fn begin_era(&self) -> Result<(), Unanswered> {
        let op = Op::History {
            key: Key::of_epochs(self.namespace()),
            era: Some((Era::random(), Begin::Always)),
            known: None,
        };
        match self.send_one(Traffic::Writes, op).await? {
            Reply::History { era, .. } => self.learn_era(era),
            _ => return Err(Unanswered::Disconnected),
        }
        Ok(())
    }

    /// Records the era of the server.
    pub(crate) fn learn_era(&self, era: Era) {
        let shards = self.shards().iter();
        // For every shard, not only up to the first with a new era.
        if shards.filter(|shard| shard.link.learn_era(era.0)).count() > 0 {
            // Removed before an epoch is lowered, because entries that it
            // invalidated must not become valid again.
            self.shares.empty();
            self.epochs.forget_implausible();
        }
    }
}
