//! The fleet that is computed and simulated, and the designs that it may have.

/// A number of instances, the primaries they share, and the design between
/// them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fleet {
    pub(super) instances: u32,
    /// Primaries that own slots.
    pub(super) shards: u32,
    /// Replicas of each primary.
    pub(super) replicas: u32,
    pub(super) writes_per_s: f64,
    /// Keys that a write invalidates: a row and its lists.
    pub(super) keys_per_write: u32,
    /// The staleness bound of local hits, which a design may multiply.
    pub(super) staleness_ms: f64,
    pub(super) design: Design,
}

/// The choices that decide the cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Design {
    pub(super) name: &'static str,
    pub(super) channels: Channels,
    pub(super) rounds: Rounds,
    /// Instances that share the subscriptions and rounds of one relay; one
    /// instance needs no relay.
    pub(super) per_relay: u32,
    /// The staleness bound, as a multiple of the fleet's.
    pub(super) bounds: u32,
}

/// The channels on which invalidations are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    /// One channel, which the bus copies to every node.
    Classic,
    /// Channels that belong to a shard, so that the bus copies their messages
    /// only to its replicas.
    Shard,
}

/// The commands of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounds {
    /// PING, INFO, CLUSTER INFO and CLUSTER NODES.
    Plain,
    /// PING and a script that compares the node's own line and returns only
    /// changes.
    Script,
}

pub(super) const PLAIN: Design = Design {
    name: "one channel",
    channels: Channels::Classic,
    rounds: Rounds::Plain,
    per_relay: 1,
    bounds: 1,
};

pub(super) const SHARD_CHANNELS: Design = Design {
    name: "shard channels",
    channels: Channels::Shard,
    ..PLAIN
};

pub(super) const SCRIPT_ROUNDS: Design = Design {
    name: "and a script for a round",
    rounds: Rounds::Script,
    ..SHARD_CHANNELS
};

pub(super) const LONGER_BOUND: Design = Design {
    name: "and four times the bound",
    bounds: 4,
    ..SCRIPT_ROUNDS
};

/// A relay for 20 instances, such as one per machine, with the fleet's bound.
pub(super) const RELAY: Design = Design {
    name: "or a relay for 20 instances",
    per_relay: 20,
    ..SCRIPT_ROUNDS
};

/// The connections that an instance may open (`REDIS_MAX_CONNECTIONS`), and the
/// most for the commands of one primary.
const MAX_CONNECTIONS: u32 = 10;
const MAX_COMMAND_CONNECTIONS: u32 = 4;

/// The longest pause between two rounds.
const MAX_PAUSE_MS: f64 = 500.0;

impl Fleet {
    /// The connections that subscribe and send rounds at each primary.
    pub(super) fn subscribers(&self) -> u32 {
        self.instances.div_ceil(self.design.per_relay)
    }

    /// All servers on the bus.
    pub(super) fn nodes(&self) -> u32 {
        self.shards * (1 + self.replicas)
    }

    /// The age at which a proof ends.
    pub(super) fn bound_ms(&self) -> f64 {
        self.staleness_ms * f64::from(self.design.bounds)
    }

    /// The pause between the end of a round and the next one.
    pub(super) fn pause_ms(&self) -> f64 {
        (self.bound_ms() / 4.0).min(MAX_PAUSE_MS)
    }

    /// The connections of one instance for the commands of one primary.
    pub(super) fn command_connections(&self) -> u32 {
        (MAX_CONNECTIONS / self.shards)
            .saturating_sub(1)
            .clamp(1, MAX_COMMAND_CONNECTIONS)
    }

    /// Key invalidations per second in the whole fleet.
    pub(super) fn messages_per_s(&self) -> f64 {
        self.writes_per_s * f64::from(self.keys_per_write)
    }

    /// The servers that a message reaches through the bus.
    pub(super) fn bus_copies(&self) -> u32 {
        match self.design.channels {
            Channels::Classic => self.nodes() - 1,
            Channels::Shard => self.replicas,
        }
    }
}
