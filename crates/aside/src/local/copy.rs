//! A local copy, for the explanation of its key.

use std::time::Duration;

use super::{LocalTier, PackedEntry};
use crate::entity::Entity;
use crate::runtime::clock::Moment;
use crate::trust::generations::Generations;

/// A copy in this process, served or not.
pub(crate) struct LocalCopy {
    /// When it was loaded from the database, in Unix milliseconds.
    pub(crate) loaded_at: i64,
    /// The rest of its time to live.
    pub(crate) ttl: Duration,
    /// The id of its fill.
    pub(crate) fill: u64,
    pub(crate) bytes: u64,
    pub(crate) is_absence: bool,
    /// The age of the proof that no invalidation of it was missed; `None` if one was
    /// heard, or without a proof.
    pub(crate) proof_age: Option<Duration>,
    /// `served`, or why it is not.
    pub(crate) verdict: &'static str,
}

impl<E: Entity> LocalTier<E> {
    /// Returns the copy of a key: its hash, and the text that follows the name of its
    /// kind. `is_current` checks the dependencies of a query's result.
    ///
    /// Looks at all entries, because no id can be made of a text. Their stamps differ
    /// from that of the key, so it takes a few nanoseconds for each.
    pub(crate) fn copy_of(
        &self,
        hash: u64,
        text: &str,
        is_current: impl Fn(&PackedEntry<E>, &Generations) -> bool,
    ) -> Option<LocalCopy> {
        let of = |kept: &PackedEntry<E>| {
            let copy = self.copy(kept);
            let is_outdated = copy.verdict == "served" && !is_current(kept, &self.generations);
            LocalCopy {
                verdict: if is_outdated {
                    "invalidated"
                } else {
                    copy.verdict
                },
                ..copy
            }
        };
        [&self.rows, &self.lists].into_iter().find_map(|store| {
            store.find(|name, kept| {
                let may_be = self.generations.may_be_of(kept.stamp(), hash);
                (may_be && name.text() == text).then(|| of(kept))
            })
        })
    }

    fn copy(&self, kept: &PackedEntry<E>) -> LocalCopy {
        let now = Moment::now();
        // Before the generations, as for every local hit.
        let proved = self.trust[kept.stamp().shard()].proved_at();
        let is_valid = self.is_valid(kept);
        let proved = self.generations.proved(kept.stamp(), proved);
        let verdict = if is_valid {
            "served"
        } else if kept.epoch() < self.epoch() {
            "forgotten"
        } else if proved.is_none() {
            "invalidated"
        } else if kept.deadline() <= now {
            "expired"
        } else {
            "unproved"
        };
        LocalCopy {
            loaded_at: kept.loaded_at(),
            ttl: kept.deadline().since(now),
            fill: kept.fill(),
            bytes: kept.payload_bytes(),
            is_absence: kept.is_absence(),
            proof_age: proved
                .filter(|proved| *proved != Moment::NEVER)
                .map(|proved| now.since(proved)),
            verdict,
        }
    }
}
