//! The limits of a listener.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// The limits of a listener, in time and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a request's header may take, or a pause before it, until the
    /// connection is closed. Default: 10 seconds.
    pub header_within: Duration,
    /// How long a client may take no byte of a response until the connection is
    /// closed. Each 16 KiB that it takes adds a second. Default: 10 seconds.
    pub read_within: Duration,
    /// The maximum number of connections. Default: 1,024. It is less if the
    /// process may open few files: 128 of them, or half, are left for other
    /// uses.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MAX_CONNECTIONS: u64 = 1024;
        const FOR_THE_REST: u64 = 128;
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let spare = files.saturating_sub(FOR_THE_REST).max(files / 2);
        Self {
            header_within: Duration::from_secs(10),
            read_within: Duration::from_secs(10),
            // At most 1,024, so it fits.
            connections: spare.min(MAX_CONNECTIONS) as usize,
        }
    }
}
