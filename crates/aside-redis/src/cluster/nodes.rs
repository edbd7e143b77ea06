//! The reply to `CLUSTER NODES`: a line for each node.

use std::ops::RangeInclusive;

use super::node::{Flags, Node, NodeAddress};
use super::{place, slot};

/// More nodes than a cluster can have.
const MAX_NODES: usize = 16_384;

/// The longest id that is kept; real ones have 40 hex digits.
const MAX_ID_BYTES: usize = 64;

/// A reply about the cluster is not understood. The text quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A line of `CLUSTER NODES` has an impossible field.
    #[error("line {line} of the reply to CLUSTER NODES has no usable {field}")]
    Nodes {
        /// The number of the line, from 1.
        line: usize,
        /// The name of the field.
        field: &'static str,
    },
    /// The reply to `CLUSTER NODES` has too many lines.
    #[error("the reply to CLUSTER NODES has more than {MAX_NODES} lines")]
    TooManyNodes,
    /// A field of `CLUSTER INFO` is missing or impossible.
    #[error("the reply to CLUSTER INFO has no usable {field}")]
    Info {
        /// The name of the field.
        field: &'static str,
    },
}

/// Parses the reply to `CLUSTER NODES`.
///
/// ```
/// let text = "\
/// 07c37df 127.0.0.1:30004@31004,db-4.internal slave e7d1eec 0 1426238317239 4 connected
/// e7d1eec :30001@31001 myself,master - 0 0 1 connected 0-5460 [93-<-292f8b3]
/// ";
/// let nodes = aside_redis::cluster::parse_nodes(text)?;
/// assert_eq!(nodes[0].address.host_or("10.0.0.1"), "db-4.internal");
/// assert_eq!(nodes[1].address.host_or("10.0.0.1"), "10.0.0.1");
/// assert_eq!(nodes[1].slots, [0..=5460]);
/// # Ok::<(), aside_redis::cluster::Unreadable>(())
/// ```
///
/// # Errors
///
/// A line that no server sends.
pub fn parse_nodes(text: &str) -> Result<Vec<Node>, Unreadable> {
    let mut nodes = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.is_empty() {
            continue;
        }
        if nodes.len() == MAX_NODES {
            return Err(Unreadable::TooManyNodes);
        }
        let unreadable = |field| Unreadable::Nodes {
            line: at + 1,
            field,
        };
        nodes.push(node(line).map_err(unreadable)?);
    }
    Ok(nodes)
}

/// Parses one line, or returns the name of the field that is wrong.
fn node(line: &str) -> Result<Node, &'static str> {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let mut word = |field| words.next().ok_or(field);
    let id = id(word("id")?).ok_or("id")?;
    let address = address(word("address")?).ok_or("address")?;
    let flags = Flags::parse(word("flags")?);
    let primary = match word("primary")? {
        "-" => None,
        primary => Some(self::id(primary).ok_or("primary")?),
    };
    for field in ["time of the last PING", "time of the last PONG"] {
        word(field)?;
    }
    let epoch = word("config epoch")?;
    let mut node = Node {
        id,
        address,
        flags,
        primary,
        config_epoch: epoch.parse().map_err(|_| "config epoch")?,
        connected: match word("link state")? {
            "connected" => true,
            "disconnected" => false,
            _ => return Err("link state"),
        },
        slots: Vec::new(),
        migrating: Vec::new(),
        importing: Vec::new(),
    };
    for word in words {
        match word.strip_prefix('[') {
            Some(moving) => add_moving(&mut node, moving).ok_or("moving slot")?,
            None => node.slots.push(slots(word).ok_or("slots")?),
        }
    }
    Ok(node)
}

/// Parses `host:port[@bus][,hostname[,name=value...]]`.
fn address(text: &str) -> Option<NodeAddress> {
    let mut parts = text.split(',');
    let place = parts.next()?;
    let (host, port) = place::split(place.split_once('@').map_or(place, |(place, _)| place))?;
    // The hostname comes first, and may be missing before other parts.
    let hostname = match parts.next() {
        Some(part) if !part.contains('=') => place::host(part)?,
        _ => None,
    };
    Some(NodeAddress {
        host,
        port,
        hostname,
    })
}

fn id(text: &str) -> Option<String> {
    let possible = (1..=MAX_ID_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    possible.then(|| text.to_owned())
}

fn slots(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (slot::parse(first)?, slot::parse(last)?);
    (first <= last).then_some(first..=last)
}

/// Adds a slot that moves, written `slot->-id]` or `slot-<-id]`.
fn add_moving(node: &mut Node, text: &str) -> Option<()> {
    let text = text.strip_suffix(']')?;
    let (list, number, id) = match text.split_once("->-") {
        Some((number, id)) => (&mut node.migrating, number, id),
        None => {
            let (number, id) = text.split_once("-<-")?;
            (&mut node.importing, number, id)
        }
    };
    list.push((slot::parse(number)?, self::id(id)?));
    Some(())
}
