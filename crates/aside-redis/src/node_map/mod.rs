//! Addresses of nodes as this process reaches them.
//!
//! Nodes of a cluster and Sentinels announce addresses. Behind address translation or
//! a forwarded port, a process reaches them under others.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::cluster::{NodeAddress, parse_host};
use crate::error::printable;

/// Announced addresses, each with the one to connect to.
///
/// ```
/// use aside_redis::NodeMap;
///
/// let map: NodeMap = "10.0.0.1:6379=localhost:7001, db-2.internal=203.0.113.9".parse()?;
/// assert_eq!(map.reach("10.0.0.1", 6379), ("localhost".to_owned(), 7001));
/// assert_eq!(map.reach("db-2.internal", 6379), ("203.0.113.9".to_owned(), 6379));
/// assert_eq!(map.reach("10.0.0.3", 6379), ("10.0.0.3".to_owned(), 6379));
///
/// let wrong = "10.0.0.1:6379=localhost:7001,10.0.0.2".parse::<NodeMap>();
/// assert_eq!(
///     wrong.unwrap_err().to_string(),
///     "pair 2 (`10.0.0.2`) has no `=`: announced=reachable, as in 10.0.0.1:6379=localhost:7001",
/// );
/// # Ok::<(), aside_redis::NodeMapError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeMap {
    pairs: BTreeMap<Place, Place>,
}

/// A host with its port, or every port of a host.
type Place = (String, Option<u16>);

/// A pair of a [`NodeMap`] is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "pair {number} ({pair}) {problem}: announced=reachable, as in 10.0.0.1:6379=localhost:7001"
)]
pub struct NodeMapError {
    /// The number of the pair, from 1.
    number: usize,
    /// The pair in backquotes, or a reason why it is not shown.
    pair: String,
    problem: &'static str,
}

/// The longest part of a pair that an error shows.
const MAX_SHOWN_CHARS: usize = 80;

impl NodeMap {
    /// Returns the address to connect to for an announced one: that of its pair, or
    /// of a pair for all ports of the host, or the announced one itself.
    #[must_use]
    pub fn reach(&self, host: &str, port: u16) -> (String, u16) {
        let found = self.find(host, port);
        found.unwrap_or_else(|| (host.to_owned(), port))
    }

    /// Returns the address to connect to for a node of a cluster; `None` if it
    /// announces none. `asked` is the host of the node that named it.
    ///
    /// A pair may name the node's hostname or its address. Without a pair, the
    /// hostname is preferred.
    #[must_use]
    pub fn reach_node(&self, node: &NodeAddress, asked: &str) -> Option<(String, u16)> {
        if node.port == 0 {
            return None;
        }
        let address = node.host.as_deref().unwrap_or(asked);
        let found = self.find(node.host_or(asked), node.port);
        let found = found.or_else(|| self.find(address, node.port));
        Some(found.unwrap_or_else(|| (node.host_or(asked).to_owned(), node.port)))
    }

    /// Adds a pair, or returns its fault.
    fn add(&mut self, pair: &str) -> Result<(), &'static str> {
        let (announced, reachable) = pair.split_once('=').ok_or("has no `=`")?;
        let (host, port) = place(announced.trim()).ok_or("begins with no usable address")?;
        let reachable = place(reachable.trim()).ok_or("ends with no usable address")?;
        if port.is_some() != reachable.1.is_some() {
            return Err("has a port on one side only");
        }
        let announced = (host.to_ascii_lowercase(), port);
        match self.pairs.insert(announced, reachable) {
            None => Ok(()),
            Some(_) => Err("repeats an announced address"),
        }
    }

    fn find(&self, host: &str, port: u16) -> Option<(String, u16)> {
        // Hosts are compared without regard to case, like names in DNS.
        let host = host.to_ascii_lowercase();
        let of_port = self.pairs.get(&(host.clone(), Some(port)));
        let (host, mapped) = of_port.or_else(|| self.pairs.get(&(host, None)))?;
        Some((host.clone(), mapped.unwrap_or(port)))
    }
}

impl FromStr for NodeMap {
    type Err = NodeMapError;

    /// Parses `announced=reachable,...`. Each side is `host:port`, or both are a host
    /// alone, which keeps the port. An IPv6 address may have brackets, and needs them
    /// before a port.
    fn from_str(text: &str) -> Result<Self, NodeMapError> {
        let mut map = Self::default();
        if text.trim().is_empty() {
            return Ok(map);
        }
        for (at, pair) in text.split(',').enumerate() {
            let pair = pair.trim();
            map.add(pair).map_err(|problem| NodeMapError {
                number: at + 1,
                pair: shown(pair),
                problem,
            })?;
        }
        Ok(map)
    }
}

/// Parses `host`, `host:port`, `[address]` or `[address]:port`.
fn place(text: &str) -> Option<Place> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']')?;
            if !address.contains(':') {
                return None;
            }
            match rest {
                "" => (address, None),
                rest => (address, Some(rest.strip_prefix(':')?)),
            }
        }
        // Several colons: an IPv6 address alone.
        None if text.matches(':').count() > 1 => (text, None),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host = parse_host(host)??;
    let Some(port) = port else {
        return Some((host, None));
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    Some((host, Some(port)))
}

/// Returns a pair for an error, unless it may contain a password.
fn shown(pair: &str) -> String {
    if pair.contains("://") || pair.contains('@') {
        return "not shown, because it looks like a URL".to_owned();
    }
    let begins: String = pair.chars().take(MAX_SHOWN_CHARS).collect();
    let cut = if begins.len() < pair.len() { "..." } else { "" };
    format!("`{}{cut}`", printable(&begins))
}

#[cfg(test)]
mod tests;
