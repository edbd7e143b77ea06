//! A cluster: its map by the primaries' own lines, and since when it is certain.
//!
//! Each primary's watcher asks it for `CLUSTER NODES` and `CLUSTER INFO` in every
//! round. A failover needs the votes of a majority of the primaries with slots, and
//! each voter raises its current epoch before it votes. So if a majority has
//! answered, within H, with no greater epoch than the map's, then no other node had
//! been promoted before: two majorities share a node. A greater epoch alone does not
//! tell what changes. Until a node has it as its config epoch, an election is under
//! way, and no shard is trusted.
//!
//! An election may fail, and leaves an epoch that no node ever has. After five
//! seconds only those shards stay closed whose primary is taken for failed.
//! `CLUSTER FAILOVER TAKEOVER` asks for no votes; CAVEATS.md has its consequence.

mod claims;
mod quorum;

use std::fmt;
use std::time::Duration;

use aside_redis::cluster::{Info, Node, NodeAddress};
use aside_redis::{Address, NodeMap};
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::claims::Claims;
pub(crate) use self::claims::{NodeId, Ownership, Primary};
use self::quorum::Quorum;
use crate::runtime::clock::Moment;

/// How long a disputed slot may be judged by old replies.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A place in the network: host and port.
type Place = (String, u16);

/// The cluster of one service.
pub(crate) struct Cluster {
    seeds: Vec<Place>,
    tls: bool,
    node_map: NodeMap,
    /// How long a proof lasts.
    bound: Duration,
    state: Mutex<State>,
    /// Notified when the owners may have changed.
    changed: Notify,
}

struct State {
    claims: Claims,
    quorum: Quorum,
    ownership: Ownership,
    /// When each copy of the epochs was last read.
    copies: Vec<Moment>,
    /// When a node last replied.
    replied: Moment,
}

/// One node's reply to `CLUSTER INFO` and `CLUSTER NODES`.
pub(crate) struct View {
    pub(crate) info: Info,
    pub(crate) nodes: Vec<Node>,
    /// When it was requested.
    pub(crate) sent: Moment,
}

/// A node's line about itself: while this stays the same, it owns the same slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnLine {
    pub(crate) is_primary: bool,
    config_epoch: u64,
    slots: Vec<std::ops::RangeInclusive<u16>>,
}

impl State {
    /// Computes the owners. Returns true if they have changed.
    fn update(&mut self, now: Moment, bound: Duration) -> bool {
        let ownership = self.claims.ownership(now, bound);
        let changed = ownership != self.ownership;
        self.ownership = ownership;
        changed
    }
}

impl View {
    /// Returns the line of the node that was asked.
    pub(crate) fn own_line(&self) -> Option<OwnLine> {
        let own = self.nodes.iter().find(|node| node.flags.myself)?;
        Some(OwnLine {
            is_primary: own.flags.primary,
            config_epoch: own.config_epoch,
            slots: own.slots.clone(),
        })
    }
}

impl Cluster {
    /// Creates a cluster that is known by some of its nodes. `copies` is the number of
    /// copies of the epochs.
    pub(crate) fn new(
        seeds: Vec<Place>,
        tls: bool,
        node_map: NodeMap,
        bound: Duration,
        copies: usize,
    ) -> Self {
        let state = State {
            claims: Claims::default(),
            quorum: Quorum::default(),
            ownership: Claims::default().ownership(Moment::NEVER, bound),
            copies: vec![Moment::NEVER; copies],
            replied: Moment::NEVER,
        };
        Self {
            seeds,
            tls,
            node_map,
            bound,
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// Records the view of a node. `asked` is its host as it was connected to.
    pub(crate) fn record(&self, view: View, asked: &str) {
        let mut state = self.state.lock();
        let own = view.nodes.iter().find(|node| node.flags.myself);
        let own = own.map(|node| NodeId::from(node.id.as_str()));
        let mut nodes = view.nodes;
        for node in &mut nodes {
            // An empty host means the one that was asked.
            node.address.host.get_or_insert_with(|| asked.to_owned());
        }
        state.replied = state.replied.max(view.sent);
        let may_differ = state.claims.record(nodes, view.sent, self.bound);
        let now = Moment::now();
        let State { claims, quorum, .. } = &mut *state;
        if let Some(own) = own {
            let epochs = (view.info.current_epoch, claims.config_epoch());
            quorum.record(&own, view.sent, epochs, now);
        }
        if may_differ && state.update(now, self.bound) {
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Waits until the owners have changed, or may have: a disputed slot opens when its
    /// earlier owner answers no more.
    pub(crate) async fn changed(&self) {
        let is_disputed = self.state.lock().ownership.is_disputed;
        let changed = self.changed.notified();
        match is_disputed {
            true => drop(tokio::time::timeout(LOOK_AGAIN, changed).await),
            false => changed.await,
        }
    }

    /// Returns the owners.
    pub(crate) fn ownership(&self) -> Ownership {
        let mut state = self.state.lock();
        if state.ownership.is_disputed {
            state.update(Moment::now(), self.bound);
        }
        state.ownership.clone()
    }

    /// Returns the time before which no other node had been promoted in the place of
    /// this one.
    pub(crate) fn confirmed(&self, id: &str) -> Moment {
        let state = self.state.lock();
        let ids = state.ownership.primaries.iter().map(|primary| &*primary.id);
        let quorum = &state.quorum;
        // A primary that may be replaced by an election that goes on unseen.
        let may_lose = quorum.has_no_winner() && state.claims.is_flagged(id);
        match quorum.is_unresolved() || may_lose {
            true => Moment::NEVER,
            false => quorum.confirmed(ids),
        }
    }

    /// Returns true if an election may be under way: then every node is asked again
    /// soon.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.state.lock().quorum.is_unresolved()
    }

    /// Records that copies of the epochs were read by a round sent at `sent`.
    pub(crate) fn read_copies(&self, copies: impl IntoIterator<Item = usize>, sent: Moment) {
        let mut state = self.state.lock();
        for copy in copies {
            let read = &mut state.copies[copy];
            *read = sent.max(*read);
        }
    }

    /// Returns true if enough copies of the epochs have been read since `subscribed`.
    pub(crate) fn knows_epochs_since(&self, subscribed: Moment) -> bool {
        let state = self.state.lock();
        let wanted = match state.ownership.primaries.len() {
            0..=2 => state.copies.len(),
            _ => 2,
        };
        let is_read = |read: &&Moment| subscribed < **read;
        wanted <= state.copies.iter().filter(is_read).count()
    }

    /// Returns true if no node has replied for as long as a proof lasts.
    pub(crate) fn is_lost(&self) -> bool {
        let state = self.state.lock();
        state.ownership.primaries.is_empty() || self.bound < Moment::now().since(state.replied)
    }

    /// Returns the addresses of all nodes that are known, and of the seeds.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let state = self.state.lock();
        let known = state.claims.nodes().filter(|node| node.address.port != 0);
        let known = known.filter_map(|node| self.node_address(&node.address));
        let seeds = self
            .seeds
            .iter()
            .map(|(host, port)| self.address(self.node_map.reach(host, *port)));
        let mut addresses: Vec<Address> = seeds.collect();
        for address in known {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Returns the address of a primary.
    pub(crate) fn address_of(&self, primary: &Primary) -> Option<Address> {
        let address = NodeAddress {
            host: primary.host.clone(),
            hostname: primary.hostname.clone(),
            port: primary.port,
        };
        self.node_address(&address)
    }

    fn node_address(&self, address: &NodeAddress) -> Option<Address> {
        let place = self.node_map.reach_node(address, "")?;
        (!place.0.is_empty()).then(|| self.address(place))
    }

    fn address(&self, (host, port): Place) -> Address {
        match self.tls {
            true => Address::Tls { host, port },
            false => Address::Tcp { host, port },
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("primaries", &self.state.lock().ownership.primaries)
            .finish_non_exhaustive()
    }
}
