//! One node of a cluster.

use std::fmt;
use std::ops::RangeInclusive;

/// A node in the view of the node that was asked.
///
/// Its `Display` writes the line of `CLUSTER NODES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name: 40 hex digits, kept for life.
    pub id: String,
    /// Where it can be reached.
    pub address: NodeAddress,
    /// Its role and its health.
    pub flags: Flags,
    /// The id of its primary, if it is a replica.
    pub primary: Option<String>,
    /// Of two nodes that claim a slot, the one with the higher epoch has it.
    pub config_epoch: u64,
    /// True if the node that was asked has a connection to it.
    pub connected: bool,
    /// The slots that it owns.
    pub slots: Vec<RangeInclusive<u16>>,
    /// Slots that it gives away, each with the id of the new owner. Only a node's own
    /// line has them.
    pub migrating: Vec<(u16, String)>,
    /// Slots that it takes over, each with the id of the old owner. Only a node's own
    /// line has them.
    pub importing: Vec<(u16, String)>,
}

/// Host, port and hostname of a node, as it announces them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// Its IP address, or the name that it announces in place of one; `None` if it is
    /// the asked host, or unknown.
    pub host: Option<String>,
    /// Its port for clients; 0 if it is unknown.
    pub port: u16,
    /// The hostname, if it announces one.
    pub hostname: Option<String>,
}

impl NodeAddress {
    /// Returns the host to connect to, a hostname before an address. `asked` is the
    /// host of the node that sent this line; it replaces a missing host.
    #[must_use]
    pub fn host_or<'a>(&'a self, asked: &'a str) -> &'a str {
        let announced = self.hostname.as_deref().or(self.host.as_deref());
        announced.unwrap_or(asked)
    }
}

/// The flags of a node. Unknown flags are skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// It is the node that was asked.
    pub myself: bool,
    /// It is a primary, whether it owns slots or not.
    pub primary: bool,
    /// It is a replica.
    pub replica: bool,
    /// The asked node cannot reach it, and others have not confirmed that.
    pub maybe_failed: bool,
    /// A majority of primaries could not reach it.
    pub failed: bool,
    /// It is not yet trusted by the cluster, and its id is provisional.
    pub handshake: bool,
    /// Its address is unknown.
    pub no_address: bool,
}

impl Flags {
    const NAMES: [&'static str; 7] = [
        "myself",
        "master",
        "slave",
        "fail?",
        "fail",
        "handshake",
        "noaddr",
    ];

    pub(super) fn parse(text: &str) -> Self {
        let mut flags = Self::default();
        for name in text.split(',') {
            match name {
                "myself" => flags.myself = true,
                "master" | "primary" => flags.primary = true,
                "slave" | "replica" => flags.replica = true,
                "fail?" => flags.maybe_failed = true,
                "fail" => flags.failed = true,
                "handshake" => flags.handshake = true,
                "noaddr" => flags.no_address = true,
                _ => {}
            }
        }
        flags
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = [
            self.myself,
            self.primary,
            self.replica,
            self.maybe_failed,
            self.failed,
            self.handshake,
            self.no_address,
        ];
        let names = Self::NAMES.into_iter().zip(set);
        let shown: Vec<_> = names
            .filter_map(|(name, set)| set.then_some(name))
            .collect();
        match shown[..] {
            [] => formatter.write_str("noflags"),
            _ => formatter.write_str(&shown.join(",")),
        }
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or_default();
        // The port of the cluster bus, by default.
        let bus = match self.port {
            0 => 0,
            port => port.wrapping_add(10_000),
        };
        write!(formatter, "{host}:{}@{bus}", self.port)?;
        match &self.hostname {
            Some(hostname) => write!(formatter, ",{hostname}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let primary = self.primary.as_deref().unwrap_or("-");
        let link = match self.connected {
            true => "connected",
            false => "disconnected",
        };
        let (id, address, flags, epoch) = (&self.id, &self.address, &self.flags, self.config_epoch);
        write!(
            formatter,
            "{id} {address} {flags} {primary} 0 0 {epoch} {link}"
        )?;
        for slots in &self.slots {
            match (slots.start(), slots.end()) {
                (one, other) if one == other => write!(formatter, " {one}")?,
                (first, last) => write!(formatter, " {first}-{last}")?,
            }
        }
        for (slot, to) in &self.migrating {
            write!(formatter, " [{slot}->-{to}]")?;
        }
        for (slot, from) in &self.importing {
            write!(formatter, " [{slot}-<-{from}]")?;
        }
        Ok(())
    }
}
