//! Epochs of kinds, and eras: what makes many copies worthless at once.

use super::Tiers;
use crate::protocol::{Begin, Bump, Era, Op, Reply, Traffic, Unanswered, message};

impl Tiers {
    /// Raises the epoch of a kind, which makes every copy of it worthless at
    /// once; or sees to it that the kind has one. The epoch it has then.
    ///
    /// # Errors
    /// Redis did not acknowledge it, or gave one that it cannot have given;
    /// repeating it does no harm.
    pub(crate) async fn bump(&self, kind: &str, how: Bump) -> Result<u64, Unanswered> {
        let op = self.bump_op(kind, how);
        match self.ask_one(Traffic::Writes, op).await? {
            Reply::Epoch(epoch) if self.epochs.adopt(kind, epoch).is_ok() => Ok(epoch),
            _ => Err(Unanswered::Disconnected),
        }
    }

    /// Raises the epoch of a kind, whether it is cached here or not. One that is
    /// not and has no epoch gets none: whoever has something of it gives it one
    /// that is greater than any before. The epoch it has then; zero for none.
    ///
    /// # Errors
    /// As of [`bump`](Self::bump).
    pub(crate) async fn raise(&self, kind: &str) -> Result<u64, Unanswered> {
        let how = match self.epochs.known(kind) {
            Some(_) => Bump::Always,
            None => Bump::IfThere,
        };
        self.bump(kind, how).await
    }

    pub(crate) fn bump_op(&self, kind: &str, how: Bump) -> Op {
        Op::Bump {
            key: message::epochs_key(self.namespace()),
            kind: kind.to_owned(),
            known: self.epochs.known(kind).unwrap_or(0),
            how,
            message: message::bump(self.instance),
            era: Era::random(),
        }
    }

    /// Begins another era, in which nothing is served that was filled before.
    ///
    /// # Errors
    /// Redis did not acknowledge it; repeating it does no harm.
    pub(crate) async fn begin_era(&self) -> Result<(), Unanswered> {
        let op = Op::History {
            key: message::epochs_key(self.namespace()),
            era: Some((Era::random(), Begin::Always)),
            known: None,
        };
        match self.ask_one(Traffic::Writes, op).await? {
            Reply::History { era, .. } => self.learn_era(era),
            _ => return Err(Unanswered::Disconnected),
        }
        Ok(())
    }

    /// Learns which era it is.
    pub(crate) fn learn_era(&self, era: Era) {
        let shards = self.shards().iter();
        // Each of them, and not up to the first that did not know.
        if shards.filter(|shard| shard.link.learn_era(era.0)).count() > 0 {
            // Gone before an epoch is lowered: nothing that it made worthless may be
            // looked at afterwards.
            self.shares.empty();
            self.epochs.forget_implausible();
        }
    }
}
