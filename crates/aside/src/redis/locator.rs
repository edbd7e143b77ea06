//! Where the primary of a shard is: at one address, or where Sentinels say.

use std::sync::Arc;
use std::time::Duration;

use aside_redis::{Address, WireReply};
#[cfg(not(test))]
use tokio::sync::watch;

use crate::config::history::RedisHistory;
use crate::redis::broken::Broken;
use crate::redis::cluster::{Cluster, NodeId};
use crate::redis::sentinels::{Named, Sentinels};
use crate::redis::server;
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{Rule, watch, without};

/// The way to a shard's primary.
#[derive(Clone, Debug)]
pub(crate) enum Locator {
    /// A configured address. A failover behind it has no witnesses.
    Fixed(Address),
    Sentinels(Arc<Sentinels>),
    /// A node of a cluster, which stays at its address. Another address, or another
    /// primary for the same slots, is another shard.
    Node {
        cluster: Arc<Cluster>,
        id: NodeId,
        address: Address,
    },
}

/// Where a primary was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) address: Address,
    /// As the Sentinels named it.
    named: Option<Named>,
}

impl Found {
    /// Returns the history of a server that was found here, from its reply to
    /// INFO.
    ///
    /// Failover. A primary that was replaced, and is promoted again before it
    /// was demoted, keeps its name. So the epoch of its promotion is part of its
    /// history.
    ///
    /// # Errors
    /// As of [`server::history`].
    pub(crate) fn history(&self, info: &WireReply, noticed: RedisHistory) -> Result<u64, Broken> {
        let epoch = self.named.as_ref().map_or(0, |named| named.epoch);
        Ok(of_epoch(server::history(info, noticed)?, epoch))
    }
}

/// Returns the history of a server that a failover of this epoch promoted.
pub(crate) fn of_epoch(history: u64, epoch: u64) -> u64 {
    // Odd, so that each epoch gives another number; spread over all bits.
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    // Never zero, which means an unknown history.
    (history ^ epoch.wrapping_mul(MIX)).max(1)
}

/// The changes of a primary, since they were last awaited.
pub(crate) struct Changes(Option<watch::Receiver<Option<Named>>>);

impl Changes {
    /// Waits for this time, or only until the primary changes.
    pub(crate) async fn rest(&mut self, time: Duration) {
        let changed = async {
            let Some(changes) = &mut self.0 else {
                return std::future::pending().await;
            };
            if changes.changed().await.is_err() {
                std::future::pending().await
            }
        };
        let _ = tokio::time::timeout(time, changed).await;
    }
}

impl Locator {
    /// Waits until a primary is known, and returns it.
    pub(crate) async fn find(&self) -> Found {
        match self {
            Self::Fixed(address) | Self::Node { address, .. } => Found {
                address: address.clone(),
                named: None,
            },
            Self::Sentinels(sentinels) => match sentinels.named().await {
                Some(named) => Found {
                    address: sentinels.address(&named.place),
                    named: Some(named),
                },
                // Not before the end of the service, which ends this task too.
                None => std::future::pending().await,
            },
        }
    }

    /// Waits until the primary is elsewhere.
    pub(crate) async fn moved(&self, found: &Found) {
        match (self, &found.named) {
            (Self::Sentinels(sentinels), Some(named)) => sentinels.moved(named).await,
            _ => std::future::pending().await,
        }
    }

    /// Returns the changes of the primary.
    pub(crate) fn changes(&self) -> Changes {
        match self {
            Self::Fixed(_) | Self::Node { .. } => Changes(None),
            Self::Sentinels(sentinels) => Changes(Some(sentinels.changes())),
        }
    }

    /// Returns the time before which no other server had been promoted: the
    /// server's own replies prove nothing after it.
    pub(crate) fn confirmed(&self, found: &Found) -> Moment {
        #[cfg(test)]
        if without(Rule::Votes) {
            return Moment::ALWAYS;
        }
        match (self, &found.named) {
            (Self::Sentinels(sentinels), Some(named)) => sentinels.confirmed(named),
            (Self::Node { cluster, id, .. }, _) => cluster.confirmed(id),
            _ => Moment::ALWAYS,
        }
    }

    /// Returns the cluster of a node.
    pub(crate) fn cluster(&self) -> Option<&Arc<Cluster>> {
        match self {
            Self::Node { cluster, .. } => Some(cluster),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_promoted_twice_begins_another_history() {
        let found = |epoch| Found {
            address: Address::Memory(None),
            named: Some(Named {
                place: ("a".to_owned(), 6379),
                epoch,
            }),
        };
        let info = WireReply::Text("master_replid:8f3b".to_owned());
        let history = |found: &Found| found.history(&info, RedisHistory::Replid).unwrap();
        assert_ne!(history(&found(3)), history(&found(5)));
        let fixed = Found {
            address: Address::Memory(None),
            named: None,
        };
        let reported = server::history(&info, RedisHistory::Replid).unwrap();
        assert_eq!(history(&fixed), reported);
    }
}
