//! The figures of a fleet, by formulae.
//!
//! The formulae are means: every round takes its pause and no time, every
//! primary has an equal share of the keys, and no server has a queue. The
//! simulation has none of these assumptions.

use super::costs;
use super::designs::{Channels, Fleet};

/// The figures that the formulae and the simulation share; rates are per
/// second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) connections_per_primary: f64,
    pub(super) rounds_per_primary: f64,
    /// Copies of the messages of one write that reach subscribers.
    pub(super) copies_per_write: f64,
    pub(super) deliveries_per_primary: f64,
    /// Bytes that a primary sends to instances or relays.
    pub(super) bytes_per_primary: f64,
    /// Bytes that a primary sends to other servers for messages.
    pub(super) bus_bytes_per_primary: f64,
    /// Bytes that an instance, or its relay, receives.
    pub(super) bytes_per_subscriber: f64,
    /// The part of a core that rounds and messages take, on one primary.
    pub(super) core_of_primary: f64,
}

impl Figures {
    /// Returns all figures with their names, in the units that a page shows.
    pub(super) fn named(&self) -> [(&'static str, f64); 8] {
        [
            ("connections of a primary", self.connections_per_primary),
            ("rounds/s at a primary", self.rounds_per_primary),
            ("copies of messages per write", self.copies_per_write),
            ("copies/s from a primary", self.deliveries_per_primary),
            ("MB/s from a primary", self.bytes_per_primary / 1e6),
            (
                "MB/s from a primary to the bus",
                self.bus_bytes_per_primary / 1e6,
            ),
            (
                "KB/s to an instance or relay",
                self.bytes_per_subscriber / 1e3,
            ),
            ("cores of a primary", self.core_of_primary),
        ]
    }
}

/// Returns the figures by the formulae.
pub(super) fn by_formula(fleet: &Fleet) -> Figures {
    let subscribers = f64::from(fleet.subscribers());
    let shards = f64::from(fleet.shards);
    let messages = fleet.messages_per_s();
    let published = messages / shards;
    let heard = match fleet.design.channels {
        Channels::Classic => messages,
        Channels::Shard => published,
    };
    let rounds = subscribers * 1_000.0 / fleet.pause_ms();
    let deliveries = heard * subscribers;
    let bus_sent = published * f64::from(fleet.bus_copies());
    let bytes = rounds * costs::round_bytes(fleet) + deliveries * costs::MESSAGE_BYTES;
    let busy_us = rounds * costs::round_us(fleet)
        + published * costs::PUBLISH_US
        + deliveries * costs::DELIVERY_US
        + bus_sent * costs::BUS_SEND_US
        + (heard - published) * costs::BUS_RECEIVE_US;
    Figures {
        connections_per_primary: connections(fleet),
        rounds_per_primary: rounds,
        copies_per_write: deliveries * shards / fleet.writes_per_s,
        deliveries_per_primary: deliveries,
        bytes_per_primary: bytes,
        bus_bytes_per_primary: bus_sent * costs::BUS_BYTES,
        bytes_per_subscriber: bytes * shards / subscribers,
        core_of_primary: busy_us / 1e6,
    }
}

/// Returns the connections that a primary has from instances and relays.
pub(super) fn connections(fleet: &Fleet) -> f64 {
    let commands = fleet.instances * fleet.command_connections();
    f64::from(commands + fleet.subscribers())
}

/// Returns the most instances for which rounds and messages take at most
/// `core` of a primary's core, by the formulae.
///
/// The writes per second do not grow with the instances here. The core's time
/// is then linear in the instances.
pub(super) fn most_instances(fleet: &Fleet, core: f64) -> u32 {
    let at = |instances: u32| {
        by_formula(&Fleet {
            instances,
            ..*fleet
        })
        .core_of_primary
    };
    let step = fleet.design.per_relay;
    let without = 2.0 * at(step) - at(2 * step);
    let each = (at(2 * step) - at(step)) / f64::from(step);
    ((core - without) / each).max(0.0) as u32
}
