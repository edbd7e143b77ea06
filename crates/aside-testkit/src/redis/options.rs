//! Settings of a private Redis.

use std::path::PathBuf;

/// Settings of a [`RedisServer`](crate::RedisServer).
///
/// ```no_run
/// use aside_testkit::{RedisOptions, RedisServer};
///
/// let redis = RedisServer::start_with(RedisOptions {
///     password: Some("secret".into()),
///     appendonly: true,
///     ..RedisOptions::default()
/// })?;
/// # Ok::<(), aside_testkit::StartError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// The password of the default user. Default: none.
    pub password: Option<String>,
    /// The memory limit. Default: none.
    pub maxmemory_bytes: Option<u64>,
    /// The policy at the memory limit, for example `allkeys-lru`. Default: that
    /// of the server, `noeviction`.
    pub maxmemory_policy: Option<String>,
    /// If true, every write is on disk before its reply, so that it survives
    /// [`RedisServer::kill`](crate::RedisServer::kill). Default: false; a restart loses everything.
    pub appendonly: bool,
    /// More lines of the configuration file, for example `hz 100`.
    pub config: Vec<String>,
    /// The program to run. Default: `redis-server`, else `valkey-server`, from
    /// the `PATH`.
    pub program: Option<PathBuf>,
}
