//! Sentinels: which server is the primary, and since when that is certain.
//!
//! Their replies name the primary and date it; see `votes`. Their messages
//! (`+switch-master`) are not used, because a lost one would be missed.

mod votes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use aside_redis::{Address, NodeMap};
use parking_lot::Mutex;
use tokio::sync::Notify;
#[cfg(not(test))]
use tokio::sync::watch;

use self::votes::{FORGET_AFTER, Votes};
pub(crate) use self::votes::{Named, Place, Report};
use crate::runtime::clock::Moment;
#[cfg(test)]
use crate::runtime::simulated::{Rule, watch, without};

/// The Sentinels of one service.
pub(crate) struct Sentinels {
    /// The name of the service among them.
    service: String,
    /// True if Sentinels and servers are reached over TLS.
    tls: bool,
    /// Where announced addresses are reachable.
    node_map: NodeMap,
    /// With the time of the last sign of each that is not configured.
    known: Mutex<BTreeMap<Place, Option<Moment>>>,
    /// Notified when another Sentinel becomes known.
    found: Notify,
    votes: Mutex<Votes>,
    /// `None` until a Sentinel has replied.
    primary: watch::Sender<Option<Named>>,
    is_warned: AtomicBool,
}

impl Sentinels {
    /// Creates the Sentinels of a service; `known` are some of them.
    pub(crate) fn new(service: String, known: Vec<Place>, tls: bool, node_map: NodeMap) -> Self {
        Self {
            service,
            tls,
            node_map,
            known: Mutex::new(known.into_iter().map(|place| (place, None)).collect()),
            found: Notify::new(),
            votes: Mutex::default(),
            primary: watch::Sender::new(None),
            is_warned: AtomicBool::new(false),
        }
    }

    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// Returns the address of a server or of a Sentinel.
    pub(crate) fn address(&self, place: &Place) -> Address {
        let (host, port) = self.node_map.reach(&place.0, place.1);
        match self.tls {
            true => Address::Tls { host, port },
            false => Address::Tcp { host, port },
        }
    }

    /// Returns the primary with the greatest epoch that any Sentinel names.
    pub(crate) fn primary(&self) -> Option<Named> {
        self.primary.borrow().clone()
    }

    /// Waits until a Sentinel has named a primary, and returns it.
    pub(crate) async fn named(&self) -> Option<Named> {
        let mut primary = self.primary.subscribe();
        let named = primary.wait_for(Option::is_some).await;
        named.ok()?.clone()
    }

    /// Waits until this is no longer the primary, or is it by another failover.
    pub(crate) async fn moved(&self, named: &Named) {
        #[cfg(test)]
        if without(Rule::LeaveAtOnce) {
            return std::future::pending().await;
        }
        let mut primary = self.primary.subscribe();
        let other = |primary: &Option<Named>| primary.as_ref() != Some(named);
        // The sender lives as long as this value.
        let _ = primary.wait_for(other).await;
    }

    /// Returns the changes of the primary.
    pub(crate) fn changes(&self) -> watch::Receiver<Option<Named>> {
        self.primary.subscribe()
    }

    /// Returns the time before which no other server had been promoted.
    pub(crate) fn confirmed(&self, named: &Named) -> Moment {
        let votes = self.votes.lock();
        votes.confirmed(named).unwrap_or(Moment::NEVER)
    }

    /// Records a reply of the Sentinel at `from`. Returns true if it names
    /// another primary: the one before must be left at once, because it may not
    /// know.
    pub(crate) fn record(&self, from: &Place, report: Report) -> bool {
        if let Some(Some(seen)) = self.known.lock().get_mut(from) {
            *seen = report.received;
        }
        let primary = {
            let mut votes = self.votes.lock();
            votes.record(from, report);
            votes.primary()
        };
        let mut is_first = false;
        let moved = self.primary.send_if_modified(|known| {
            let moved = *known != primary;
            is_first = known.is_none();
            known.clone_from(&primary);
            moved
        });
        if moved
            && let Some(Named {
                place: (host, port),
                epoch,
            }) = primary
        {
            let service = &self.service;
            tracing::info!(service, host, port, epoch, "the Sentinels name a primary");
        }
        #[cfg(test)]
        let moved = moved && !without(Rule::LeaveAtOnce);
        moved && !is_first
    }

    /// Returns the Sentinels that are known, and forgets those that may have
    /// been removed.
    pub(crate) fn known(&self) -> BTreeSet<Place> {
        let (mut known, now) = (self.known.lock(), Moment::now());
        known.retain(|_, seen| is_known(*seen, now));
        known.keys().cloned().collect()
    }

    /// Returns false if a Sentinel may have been removed: it has not replied,
    /// and no other one has named it, for a minute.
    pub(crate) fn is_known(&self, place: &Place) -> bool {
        let known = self.known.lock();
        let seen = known.get(place);
        seen.is_some_and(|seen| is_known(*seen, Moment::now()))
    }

    /// Adds Sentinels that another one knows.
    pub(crate) fn learn(&self, others: impl IntoIterator<Item = Place>) {
        let (mut known, now) = (self.known.lock(), Moment::now());
        let before = known.len();
        for place in others {
            let seen = known.entry(place).or_insert(Some(now));
            *seen = seen.map(|_| now);
        }
        if before < known.len() {
            self.found.notify_one();
        }
    }

    /// Waits until another Sentinel becomes known.
    pub(crate) async fn found(&self) {
        self.found.notified().await;
    }

    /// Warns once that votes are out of reach.
    pub(crate) fn warn_about_votes(&self) {
        if !self.is_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the Sentinels' user may not run SENTINEL IS-MASTER-DOWN-BY-ADDR, so a deposed \
                 primary is noticed up to 2 s later: permit +sentinel|is-master-down-by-addr"
            );
        }
    }
}

/// `seen` is `None` for a configured one.
fn is_known(seen: Option<Moment>, now: Moment) -> bool {
    seen.is_none_or(|seen| now.since(seen) < FORGET_AFTER)
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sentinels")
            .field("service", &self.service)
            .field("known", &self.known)
            .field("primary", &self.primary())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
