//! Confirmation of writes: released again if their server was replaced.

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::Token;
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::tiers::shard::{Shard, Unconfirmed};
use crate::tiers::shard_map::ShardMap;

impl Tiers {
    /// Records an acknowledged release, which was sent under `history`. It is
    /// repeated if the server turns out to have been replaced before a proof.
    pub(crate) fn confirm_later(&self, key: &Key, history: u64) {
        let kind = || self.kind_of(key.as_str());
        if !self.shard_of(key).remember_release(key, history, kind) {
            self.hold_until_released(key.clone(), Token::random(), None);
        }
    }

    /// Repeats the releases that a shard acknowledged, of keys that belong to another
    /// shard by a later map, without a proof in between. Call it before that map is
    /// used.
    pub(crate) fn release_moved(&self, shard: &Shard, map: &ShardMap) {
        let moved = |key: &Key| !std::ptr::eq(&**map.shard_of(key), shard);
        self.release_again(shard.take_moved(moved));
    }

    /// Repeats the releases that a shard acknowledged before its history
    /// changed, without a proof in between. Call it before a proof of the new history
    /// counts: until their releases these keys bypass Redis.
    pub(crate) fn release_unconfirmed(&self, shard: &Shard) {
        self.release_again(shard.take_unconfirmed());
    }

    fn release_again(&self, unconfirmed: Unconfirmed) {
        #[cfg(test)]
        if without(Rule::ConfirmWrites) {
            return;
        }
        let (keys, kinds) = (unconfirmed.keys.len(), unconfirmed.kinds.len());
        if 0 < keys + kinds {
            tracing::warn!(
                keys,
                kinds,
                "invalidating recent writes again: their server was replaced"
            );
        }
        for kind in unconfirmed.kinds {
            self.hold_kind(kind);
        }
        for key in unconfirmed.keys {
            self.hold_until_released(key, Token::random(), None);
        }
    }
}
