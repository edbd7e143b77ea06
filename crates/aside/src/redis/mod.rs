//! The shared tier on a server: a pool of connections for commands, and the
//! watcher's connection, which receives invalidations and proves that none was
//! missed.

pub(crate) mod broken;
mod tls;
pub(crate) mod server;
pub(crate) mod sentinels;
pub(crate) mod cluster;
pub(crate) mod locator;
pub(crate) mod endpoint;
pub(crate) mod sentinel_watcher;

pub(crate) mod pool;
pub(crate) mod watcher;
pub(crate) mod cluster_watcher;

#[cfg(test)]
mod sentences;
