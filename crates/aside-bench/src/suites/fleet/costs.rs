//! What one event costs a server, in time of its core and in bytes.
//!
//! Measured on Redis 7.0.15 with the server's own CPU time (`/proc/PID/stat`);
//! docs/scale.md has the measurements.

use super::designs::{Fleet, Rounds};

/// A cost with a constant part, and a part per node in the cluster.
struct Linear {
    base: f64,
    per_node: f64,
}

impl Linear {
    fn of(&self, nodes: u32) -> f64 {
        self.base + self.per_node * f64::from(nodes)
    }
}

/// A round of PING, INFO replication, CLUSTER INFO, CLUSTER NODES, TIME and five
/// fields of epochs.
const PLAIN_ROUND_US: Linear = Linear {
    base: 57.0,
    per_node: 0.55,
};
const PLAIN_ROUND_BYTES: Linear = Linear {
    base: 1_120.0,
    per_node: 120.0,
};

/// A round of PING, the script, TIME and five fields of epochs.
const SCRIPT_ROUND_US: Linear = Linear {
    base: 65.0,
    per_node: 0.7,
};
const SCRIPT_ROUND_BYTES: f64 = 155.0;

/// A message of 94 bytes, as a push in RESP3.
pub(super) const MESSAGE_BYTES: f64 = 141.0;

/// PUBLISH in a script, without subscribers.
pub(super) const PUBLISH_US: f64 = 0.8;

/// One subscriber's copy of a message.
pub(super) const DELIVERY_US: f64 = 2.4;

/// A message on the bus, for its sender and for its receiver.
pub(super) const BUS_SEND_US: f64 = 2.4;
pub(super) const BUS_RECEIVE_US: f64 = 3.0;
pub(super) const BUS_BYTES: f64 = 2_375.0;

/// Half a round trip on the network.
pub(super) const ONE_WAY_US: f64 = 150.0;

/// Returns the time of a server's core that a round takes.
pub(super) fn round_us(fleet: &Fleet) -> f64 {
    match fleet.design.rounds {
        Rounds::Plain => PLAIN_ROUND_US.of(fleet.nodes()),
        Rounds::Script => SCRIPT_ROUND_US.of(fleet.nodes()),
    }
}

/// Returns the bytes of a server's reply to a round.
pub(super) fn round_bytes(fleet: &Fleet) -> f64 {
    match fleet.design.rounds {
        Rounds::Plain => PLAIN_ROUND_BYTES.of(fleet.nodes()),
        Rounds::Script => SCRIPT_ROUND_BYTES,
    }
}
