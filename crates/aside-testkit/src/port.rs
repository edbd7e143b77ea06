//! Free ports that stay free while their server is down.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the range from which systems assign ports to outgoing connections.
///
/// A port of that range is unfit for a server that tests kill. While the server
/// is down, the system may assign this port to a client that keeps
/// reconnecting. The client then connects to itself and keeps the server from
/// starting again.
const PORTS: Range<u16> = 15_000..32_000;

/// Returns a port without a listener.
///
/// Another process may take it before the server does; callers then try again.
pub(crate) fn free_port() -> io::Result<u16> {
    first_free(PORTS, &[0])
}

/// Returns a port without a listener, such that the port `distance` above it has
/// none either.
pub(crate) fn free_pair(distance: u16) -> io::Result<u16> {
    first_free(PORTS.start..PORTS.end - distance, &[0, distance])
}

/// Returns a port of `ports` without a listener at any of the distances.
fn first_free(ports: Range<u16>, distances: &[u16]) -> io::Result<u16> {
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let random = RandomState::new().build_hasher().finish();
    let middle = ports.start + (random % u64::from(ports.end - ports.start)) as u16;
    (middle..ports.end)
        .chain(ports.start..middle)
        .find(|port| distances.iter().all(|distance| is_free(port + distance)))
        .ok_or_else(|| io::Error::other(format!("no free port in {ports:?}")))
}
