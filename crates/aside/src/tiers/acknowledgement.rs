//! Acknowledgements of journal rows: may the row be deleted?
//!
//! Failover. A deposed primary that does not know of its successor acknowledges an
//! invalidation, while a reader fills the old row at the successor. A row of the journal
//! that was deleted then is applied by no instance. So a row waits for a proof that was
//! sent after its acknowledgement. If the history changes first, it is applied again.
//! `tiers/shard/confirming.rs` does the same for the writes of this instance, in memory.

use std::sync::{Arc, Weak};

use crate::entity::key::Key;
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::tiers::shard::Shard;
use crate::tiers::shard_map::ShardMap;

/// The servers of an invalidation, with their histories. Made before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `None` for a whole kind, which every server holds.
    key: Option<Key>,
    servers: Arc<[(Weak<Shard>, u64)]>,
}

/// An invalidation that all of its servers have acknowledged, if it has any.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledgement {
    asked: Asked,
    at: Moment,
}

/// The result of later proofs for an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Confirmed,
    Unconfirmed,
    /// A server was replaced, perhaps before it acknowledged.
    Lost,
}

impl Asked {
    /// Returns the server of a key.
    pub(crate) fn of_key(map: &ShardMap, key: &Key) -> Self {
        Self {
            key: Some(key.clone()),
            servers: Arc::new([with_history(map.shard_of(key))]),
        }
    }

    /// Returns the servers of a whole kind.
    pub(crate) fn of_kind(map: &ShardMap) -> Self {
        Self {
            key: None,
            servers: map.shards().iter().map(with_history).collect(),
        }
    }

    /// Records that all of them have acknowledged it by now.
    pub(crate) fn acknowledged(self) -> Acknowledgement {
        let at = Moment::now();
        Acknowledgement { asked: self, at }
    }
}

impl Acknowledgement {
    /// Returns that of a row without anything to invalidate.
    pub(crate) fn of_nothing() -> Self {
        let servers = Arc::new([]);
        Asked { key: None, servers }.acknowledged()
    }

    /// Returns its standing by the proofs until now.
    pub(crate) fn standing(&self, map: &ShardMap) -> Standing {
        #[cfg(test)]
        if without(Rule::ConfirmRows) {
            return Standing::Confirmed;
        }
        let standings = self.asked.servers.iter().map(|(shard, history)| {
            let shard = shard.upgrade().filter(|shard| self.is_owner(map, shard));
            shard.map_or(Standing::Lost, |shard| self.standing_at(&shard, *history))
        });
        standings.fold(Standing::Confirmed, |one, other| match (one, other) {
            (Standing::Lost, _) | (_, Standing::Lost) => Standing::Lost,
            (Standing::Confirmed, Standing::Confirmed) => Standing::Confirmed,
            _ => Standing::Unconfirmed,
        })
    }

    fn is_owner(&self, map: &ShardMap, shard: &Shard) -> bool {
        match &self.asked.key {
            Some(key) => std::ptr::eq(&**map.shard_of(key), shard),
            None => map.has(shard),
        }
    }

    fn standing_at(&self, shard: &Shard, history: u64) -> Standing {
        if !shard.link.has_witnesses() {
            return Standing::Confirmed;
        }
        // Before the history: then the proof is none of a later history.
        let is_proved = shard
            .link
            .last_proof()
            .is_some_and(|proved| self.at < proved);
        match (shard.link.history() == history, is_proved) {
            (false, _) => Standing::Lost,
            (true, true) => Standing::Confirmed,
            (true, false) => Standing::Unconfirmed,
        }
    }
}

fn with_history(shard: &Arc<Shard>) -> (Weak<Shard>, u64) {
    (Arc::downgrade(shard), shard.link.history())
}
