//! The health of the cache: whether Redis is used, which one, and why not.

use std::fmt;
use std::time::Duration;

use aside_redis::Target;
use tokio::time::Instant;

use crate::entity::key::Key;
use crate::protocol::Op;
use crate::service::CacheService;
use crate::tiers::shard_states::ShardState;
use crate::trust::breaker::BreakerState;

/// The reason of [`HealthStatus::Full`].
const FULL: &str = "Redis is full: it refuses values, so reads miss";

/// The state of the cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether Redis is used; `reason` says why not.
    pub status: HealthStatus,
    /// The time of a reply just now; `None` if Redis did not reply.
    pub latency: Option<Duration>,
    /// The state of Redis's circuit breaker.
    pub breaker: BreakerState,
    /// Open connections, without the one that receives invalidations.
    pub connections: usize,
    /// Keys, or whole kinds, that are read from the database until Redis
    /// acknowledges pending operations.
    pub unreleased_keys: usize,
    /// The server's version, such as `7.2.4`; empty if unknown.
    pub server_version: String,
    /// The memory use that the server reports.
    pub used_memory_bytes: u64,
    /// The number of evicted keys that the server reports.
    pub evicted_keys: u64,
    /// The memory limit that the server reports; zero without one.
    pub max_memory_bytes: u64,
    /// Its `maxmemory-policy`; empty if unknown.
    pub eviction_policy: String,
    /// The reason why Redis is bypassed or full, if it is: a sentence without
    /// secrets, as in the log.
    pub reason: Option<String>,
    /// How long Redis has not been used; `None` while it is.
    pub unused_for: Option<Duration>,
    /// The time since the last proof that every invalidation was received;
    /// `None` before the first, and without a server.
    pub proof_age: Option<Duration>,
    /// The server, as configured, or where Sentinels found it; `None` if the
    /// cache is disabled.
    pub server: Option<ServerName>,
    /// The primaries of a cluster that own slots, by their lowest slots; empty for
    /// any other Redis.
    pub shards: Vec<ShardHealth>,
}

/// The state of one primary of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardHealth {
    /// The server, as the log names it.
    pub server: String,
    /// The number of slots that it owns, of 16,384.
    pub slots: usize,
    /// The reason why its keys are read from the database; `None` if they are not.
    pub reason: Option<String>,
    /// How long it has not been used; `None` while it is.
    pub unused_for: Option<Duration>,
    /// The time since the last proof that every invalidation of its keys was
    /// received; `None` before the first.
    pub proof_age: Option<Duration>,
    /// The state of its circuit breaker.
    pub breaker: BreakerState,
    /// Open connections to it, without the one that receives invalidations.
    pub connections: usize,
    /// Its version; empty if unknown.
    pub server_version: String,
    /// The memory use that it reports.
    pub used_memory_bytes: u64,
    /// The number of evicted keys that it reports.
    pub evicted_keys: u64,
    /// The memory limit that it reports; zero without one.
    pub max_memory_bytes: u64,
    /// Its `maxmemory-policy`; empty if unknown.
    pub eviction_policy: String,
}

impl ShardHealth {
    fn of(shard: &ShardState) -> Self {
        let info = shard.info();
        Self {
            server: shard.server().to_owned(),
            slots: shard.slots,
            reason: shard.reason(),
            unused_for: shard.unused_for(),
            proof_age: shard.proof_age(),
            breaker: shard.breaker(),
            connections: shard.connections(),
            server_version: info.version,
            used_memory_bytes: info.used_memory_bytes,
            evicted_keys: info.evicted_keys,
            max_memory_bytes: info.max_memory_bytes,
            eviction_policy: info.policy,
        }
    }
}

/// Which server a service uses; neither a user nor a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerName {
    /// Host and port, a path, or the Sentinels.
    pub address: String,
    /// The number of the database.
    pub database: u32,
    /// True if connections use TLS.
    pub tls: bool,
}

impl ServerName {
    pub(crate) fn of(target: &Target) -> Self {
        Self {
            address: target.address.to_string(),
            database: target.db.unwrap_or_default(),
            tls: target.address.is_over_tls(),
        }
    }
}

/// The form of the log, such as `127.0.0.1:6379/0 (TLS)`.
impl fmt::Display for ServerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.database)?;
        match self.tls {
            true => formatter.write_str(" (TLS)"),
            false => Ok(()),
        }
    }
}

/// Whether Redis is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// Redis is used.
    Healthy,
    /// Redis is used, and its memory is full: it stores no more values.
    Full,
    /// Redis is unreachable or slow, or this process does not trust its
    /// connection yet.
    Unavailable,
    /// The cache is disabled.
    Disabled,
}

impl HealthStatus {
    /// Returns its name in `/health`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Full => "full",
            Self::Unavailable => "unavailable",
            Self::Disabled => "disabled",
        }
    }
}

impl CacheService {
    /// Checks Redis, within the timeout of one operation, and returns the state
    /// of the cache.
    pub async fn health_check(&self) -> Health {
        let tiers = self.tiers();
        let begun = Instant::now();
        let probe = Key::new(&tiers.namespace().own_key("health"));
        let answered = tiers.is_usable() && self.ask(Op::Exists { key: probe }).await.is_some();
        let latency = answered.then(|| begun.elapsed());
        let status = match (tiers.is_enabled(), answered) {
            (false, _) => HealthStatus::Disabled,
            (true, true) if tiers.is_full() => HealthStatus::Full,
            (true, true) => HealthStatus::Healthy,
            (true, false) => HealthStatus::Unavailable,
        };
        let (reason, unused_for) = tiers.outage();
        let info = tiers.server_info();
        Health {
            status,
            latency,
            breaker: tiers.breaker_state(),
            connections: tiers.connections(),
            unreleased_keys: tiers.unreleased.len(),
            server: self.server_name(&info.address),
            server_version: info.version,
            used_memory_bytes: info.used_memory_bytes,
            evicted_keys: info.evicted_keys,
            max_memory_bytes: info.max_memory_bytes,
            eviction_policy: info.policy,
            reason: match status {
                HealthStatus::Unavailable => Some(reason),
                HealthStatus::Full => Some(FULL.to_owned()),
                HealthStatus::Healthy | HealthStatus::Disabled => None,
            },
            unused_for: unused_for.filter(|_| tiers.is_enabled()),
            proof_age: tiers.proof_age(),
            shards: match tiers.map().is_cluster() {
                true => tiers.shard_states().iter().map(ShardHealth::of).collect(),
                false => Vec::new(),
            },
        }
    }

    /// Returns the server of the settings, at the address where it was found.
    pub(super) fn server_name(&self, found: &str) -> Option<ServerName> {
        let target = self.config().target().ok();
        let mut name = ServerName::of(&target.filter(|_| self.is_enabled())?);
        if !found.is_empty() {
            found.clone_into(&mut name.address);
        }
        Some(name)
    }
}
