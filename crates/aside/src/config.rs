//! Settings of one cache service.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` out of every log and message.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(...)")
    }
}

/// Settings of one cache service.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// `REDIS_URL`; default `redis://localhost:6379/0`. It may hold a
    /// password, so it is a secret as a whole.
    pub redis_url: Secret,
    /// `REDIS_USERNAME`; overrides the URL's.
    pub redis_username: Option<String>,
    /// `REDIS_PASSWORD`; overrides the URL's.
    pub redis_password: Option<Secret>,
    /// `REDIS_TLS_CA`: a private certificate authority, PEM.
    pub redis_tls_ca: Option<PathBuf>,
    /// `REDIS_TLS_CERT`: a client certificate, PEM.
    pub redis_tls_cert: Option<PathBuf>,
    /// `REDIS_TLS_KEY`: its key, PEM.
    pub redis_tls_key: Option<PathBuf>,
    /// `REDIS_DB`; overrides the URL's where set.
    pub redis_db: Option<u32>,
    /// `REDIS_ENABLED`; default true.
    pub redis_enabled: bool,
    /// `REDIS_MAX_CONNECTIONS`; default 10, at least 2.
    pub redis_max_connections: usize,
    /// `REDIS_SOCKET_TIMEOUT` in seconds; default 5 s.
    pub redis_socket_timeout: Duration,
    /// `CACHE_OPERATION_TIMEOUT_MS`; default 250 ms.
    pub operation_timeout: Duration,
    /// `CACHE_DEFAULT_TTL` in seconds; default 3600 s.
    pub default_ttl: Duration,
    /// `CACHE_{KIND}_TTL` in seconds, by kind.
    pub ttls: BTreeMap<String, Duration>,
    /// `CACHE_MAX_STALENESS_MS`; default 500 ms; zero for no in-process tier.
    pub max_staleness: Duration,
    /// `CACHE_QUARANTINE_TTL_MS`; default 30 s.
    pub quarantine_ttl: Duration,
    /// `CACHE_LEASE_TTL_MS`; default 3 s.
    pub lease_ttl: Duration,
    /// `CACHE_JOURNAL_POLL_MS`; default 500 ms.
    pub journal_poll: Duration,
    /// `CACHE_SOURCE_CONCURRENCY`; default 64.
    pub source_concurrency: usize,
    /// `CACHE_MAX_VALUE_BYTES`; default 8 MiB.
    pub max_value_bytes: usize,
    /// `CACHE_COMPRESS_ABOVE_BYTES`; default off.
    pub compress_above_bytes: Option<usize>,
    /// `CACHE_L1_CAPACITY` in bytes; default 64 MiB.
    pub l1_capacity_bytes: usize,
    /// `CACHE_NAMESPACE`; default empty.
    pub namespace: String,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            redis_url: Secret::new("redis://localhost:6379/0"),
            redis_username: None,
            redis_password: None,
            redis_tls_ca: None,
            redis_tls_cert: None,
            redis_tls_key: None,
            redis_db: None,
            redis_enabled: true,
            redis_max_connections: 10,
            redis_socket_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_millis(250),
            default_ttl: Duration::from_secs(3600),
            ttls: BTreeMap::new(),
            max_staleness: Duration::from_millis(500),
            quarantine_ttl: Duration::from_secs(30),
            lease_ttl: Duration::from_secs(3),
            journal_poll: Duration::from_millis(500),
            source_concurrency: 64,
            max_value_bytes: 8 * 1024 * 1024,
            compress_above_bytes: None,
            l1_capacity_bytes: 64 * 1024 * 1024,
            namespace: String::new(),
        }
    }
}

impl CacheConfig {
    /// How long values of `kind` are kept.
    #[must_use]
    pub fn ttl_of(&self, kind: &str) -> Duration {
        self.ttls.get(kind).copied().unwrap_or(self.default_ttl)
    }
}
