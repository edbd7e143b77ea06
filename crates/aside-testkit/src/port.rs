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
    let random = RandomState::new().build_hasher().finish();
    let offset = (random % u64::from(PORTS.end - PORTS.start)) as u16;
    (PORTS.start + offset..PORTS.end)
        .chain(PORTS.start..PORTS.start + offset)
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .ok_or_else(|| io::Error::other(format!("no free port in {PORTS:?}")))
}
