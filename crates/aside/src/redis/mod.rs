//! The shared tier on a server: the pool of connections that ask, and the one
//! connection that hears invalidations and proves that none was missed.

pub(crate) mod broken;
pub(crate) mod server;
pub(crate) mod endpoint;
pub(crate) mod pool;
pub(crate) mod watcher;
