//! Where the primary of a shard is: at one address, or where Sentinels say.

use std::sync::Arc;
use std::time::Duration;

use aside_redis::Address;
#[cfg(not(test))]
use tokio::sync::watch;

use crate::redis::sentinels::{Place, Sentinels};
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{Rule, watch, without};

/// The way to a shard's primary.
#[derive(Clone, Debug)]
pub(crate) enum Locator {
    /// A configured address. A failover behind it has no witnesses.
    Fixed(Address),
    Sentinels(Arc<Sentinels>),
}

/// Where a primary was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) address: Address,
    /// As the Sentinels named it.
    place: Option<Place>,
}

/// The changes of a primary, since they were last awaited.
pub(crate) struct Changes(Option<watch::Receiver<Option<Place>>>);

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
            Self::Fixed(address) => Found {
                address: address.clone(),
                place: None,
            },
            Self::Sentinels(sentinels) => match sentinels.named().await {
                Some(place) => Found {
                    address: sentinels.address(&place),
                    place: Some(place),
                },
                // Not before the end of the service, which ends this task too.
                None => std::future::pending().await,
            },
        }
    }

    /// Waits until the primary is elsewhere.
    pub(crate) async fn moved(&self, found: &Found) {
        match (self, &found.place) {
            (Self::Sentinels(sentinels), Some(place)) => sentinels.moved(place).await,
            _ => std::future::pending().await,
        }
    }

    /// Returns the changes of the primary.
    pub(crate) fn changes(&self) -> Changes {
        match self {
            Self::Fixed(_) => Changes(None),
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
        match (self, &found.place) {
            (Self::Sentinels(sentinels), Some(place)) => sentinels.confirmed(place),
            _ => Moment::ALWAYS,
        }
    }
}
