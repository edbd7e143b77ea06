//! Settings of one cache service.
//!
//! The struct is plain, so tests write it as a literal and services read it.
//! `setting` has the name, default and allowed values of each variable. `read`
//! converts variables to fields and knows only their spelling. `check` applies
//! the ranges to every configuration, read or literal, and names fields by their
//! variables, which operators know.

pub(crate) mod credentials;
pub(crate) mod settings;
pub(crate) mod history;
pub(crate) mod prefetch;
pub(crate) mod warm_up;

mod debug;
pub(crate) mod setting;
mod features;
mod check;
mod unknown;
mod read;
mod ttl;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aside_redis::{NodeMap, Secret};

use crate::config::history::RedisHistory;
use crate::config::prefetch::PrefetchMode;
use crate::config::warm_up::WarmUpFrom;

/// Settings of one cache service.
///
/// Every field has a default that is safe in production. Build one with struct update
/// syntax and check it with [`CacheConfig::validate`]. [`CacheConfig::from_env`] reads one
/// from the environment, `.env` and a file (see [`Settings`](settings::Settings)):
///
/// | variable | default | allowed |
/// |---|---|---|
/// | `REDIS_URL` | `redis://localhost:6379/0` | `redis://`, `rediss://`, `unix://`, `memory://`, `redis+sentinel://`, `rediss+sentinel://`, `redis+cluster://` or `rediss+cluster://`, followed by an address |
/// | `REDIS_USERNAME` | the URL's | any text |
/// | `REDIS_PASSWORD` | the URL's | any text |
/// | `REDIS_PASSWORD_FILE` | none | a file with the password that this process can read |
/// | `REDIS_DB` | the URL's, else 0 | 0 to 2147483647 |
/// | `REDIS_TLS_CA` | the public authorities | a file in PEM that this process can read |
/// | `REDIS_TLS_CERT` | none | a file in PEM that this process can read |
/// | `REDIS_TLS_KEY` | none | a file in PEM that this process can read |
/// | `REDIS_TLS_SERVER_NAME` | the host that is connected to; of a node, the hostname or address that it announces | a name or an IP address in the server's certificate, without a port |
/// | `REDIS_NODE_MAP` | empty | `announced=reachable,...`, as in `10.0.0.1:6379=localhost:7001` |
/// | `REDIS_SENTINEL_USERNAME` | none | any text |
/// | `REDIS_SENTINEL_PASSWORD` | none | any text |
/// | `REDIS_SENTINEL_PASSWORD_FILE` | none | a file with the password that this process can read |
/// | `REDIS_HISTORY` | replid | replid or reconnect |
/// | `REDIS_ENABLED` | true | true or false (or 1, 0, yes, no, on, off) |
/// | `REDIS_MAX_CONNECTIONS` | 10 | 2 to 10000 (at least one for commands and one to hear invalidations) |
/// | `REDIS_SOCKET_TIMEOUT` | 5 | seconds, 0.001 to 600 |
/// | `CACHE_OPERATION_TIMEOUT_MS` | 250 | milliseconds, 1 to 60000 |
/// | `CACHE_DEFAULT_TTL` | 3600 | seconds, 1 to 315360000 (ten years) |
/// | `CACHE_{KIND}_TTL` | the strategy's, else `CACHE_DEFAULT_TTL` | seconds, 1 to 315360000 (ten years) |
/// | `CACHE_MAX_STALENESS_MS` | 500 | milliseconds, 50 to 60000, or 0 for no local tier |
/// | `CACHE_QUARANTINE_TTL_MS` | 30000 | milliseconds, 1000 to 600000 |
/// | `CACHE_LEASE_TTL_MS` | 3000 | milliseconds, 100 to 60000 |
/// | `CACHE_LOAD_TIMEOUT_MS` | 10000 | milliseconds, 1 to 600000 |
/// | `CACHE_JOURNAL_POLL_MS` | 500 | milliseconds, 50 to 60000 |
/// | `CACHE_SOURCE_CONCURRENCY` | 64 | 1 to 100000 loads |
/// | `CACHE_MAX_VALUE_BYTES` | 8MiB | bytes, 1 to 512MiB, as in 8MiB or 8388608 |
/// | `CACHE_COMPRESS_ABOVE_BYTES` | off | off, or bytes, 0 to 512MiB, as in 8KiB or 8192 |
/// | `CACHE_L1_CAPACITY` | 64MiB | bytes, 1 to 1024GiB, as in 64MiB or 67108864 (for no local tier set `CACHE_MAX_STALENESS_MS=0`) |
/// | `CACHE_NAMESPACE` | empty | letters a to z, digits, `_` and `-`, or empty, and not `aside` |
/// | `CACHE_HOT_SET` | true | true or false (or 1, 0, yes, no, on, off) |
/// | `CACHE_WARM_UP` | hot | hot, all or off |
/// | `CACHE_WARM_UP_DEADLINE` | 10 | seconds, 0.001 to 600 |
/// | `CACHE_ANALYTICS` | true | true or false (or 1, 0, yes, no, on, off) |
/// | `CACHE_AUDIT_SHARE` | 0 | a share of the hits, 0 to 1, as in 0.01 (0 for no audit) |
/// | `CACHE_HEARTBEAT_MS` | 5000 | milliseconds, 100 to 60000, or 0 to announce nothing |
/// | `CACHE_INSTANCE_NAME` | the host's name and the process id | 1 to 64 characters that can be printed |
/// | `CACHE_PREFETCH` | auto | auto, names or off |
/// | `CACHE_PREFETCH_WASTE` | 0.05 | a share of the reads below this process, 0.001 to 1 |
/// | `CACHE_PREFETCH_ROWS` | 1024 | 8 to 1000000 rows |
/// | `CACHE_PREFETCH_MEMORY` | 4MiB | bytes, 65536 to 1GiB, as in 4MiB or 4194304 |
/// | `CACHE_ANALYTICS_KEYS` | 4096 | 256 to 1000000 keys, or 0 for none |
///
/// Two mistakes cannot be detected: a misspelled name, which is never read, and
/// a wrong host, which may be a Redis that is not up yet.
///
/// ```
/// use std::time::Duration;
/// use aside::{CacheConfig, settings::Settings};
///
/// let by_hand = CacheConfig {
///     default_ttl: Duration::from_secs(60),
///     ..CacheConfig::default()
/// };
/// assert!(by_hand.validate().is_ok());
///
/// let settings = Settings::from_pairs([
///     ("REDIS_URL", "rediss://:s3cret@cache.internal"),
///     ("CACHE_HERO_TTL", "60  # one minute"),
///     ("CACHE_L1_CAPACITY", "16MiB"),
/// ]);
/// let read = CacheConfig::from_settings(&settings)?;
/// assert_eq!(read.ttl_of("hero"), Some(Duration::from_secs(60)));
/// assert_eq!(read.l1_capacity_bytes, 16 * 1024 * 1024);
/// assert!(!format!("{read:?}").contains("s3cret"));
///
/// let wrong = Settings::from_pairs([("REDIS_MAX_CONNECTIONS", "1")]);
/// let error = CacheConfig::from_settings(&wrong).unwrap_err().to_string();
/// assert!(error.starts_with("REDIS_MAX_CONNECTIONS is `1`: 2 to 10000"));
/// # Ok::<(), aside::settings::ConfigError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct CacheConfig {
    /// The address of Redis: `REDIS_URL`. It may contain a password, so all of
    /// it is secret. User and password in it are percent-encoded.
    ///
    /// Default: `redis://localhost:6379/0`. A wrong host is not detected: the
    /// service starts and reads from the database.
    pub redis_url: Secret,

    /// The user to authenticate as: `REDIS_USERNAME`; overrides the URL's.
    ///
    /// Default: the URL's, else Redis's own `default`. Never printed. Refused
    /// without a password, because it would have no effect.
    pub redis_username: Option<String>,

    /// The password: `REDIS_PASSWORD`, taken verbatim; overrides the URL's.
    ///
    /// Default: the URL's, else none. With a wrong one Redis is unavailable.
    pub redis_password: Option<Secret>,

    /// A file with the password: `REDIS_PASSWORD_FILE`; overrides the URL's.
    ///
    /// Default: none. It is read again for each connection, so the password can
    /// change while the service runs. A final line end is removed. Refused
    /// together with [`redis_password`](Self::redis_password).
    pub redis_password_file: Option<PathBuf>,

    /// The certificate authority that signed the server's certificate:
    /// `REDIS_TLS_CA`, a file in PEM.
    ///
    /// Default: the public authorities. Refused with a `redis://` address,
    /// because the connection would not be encrypted.
    pub redis_tls_ca: Option<PathBuf>,

    /// The client certificate of this process: `REDIS_TLS_CERT`, a file in PEM.
    ///
    /// Default: none. Needs [`redis_tls_key`](Self::redis_tls_key).
    pub redis_tls_cert: Option<PathBuf>,

    /// The private key of that certificate: `REDIS_TLS_KEY`, a file in PEM.
    ///
    /// Default: none. Needs [`redis_tls_cert`](Self::redis_tls_cert).
    pub redis_tls_key: Option<PathBuf>,

    /// The name that every server's certificate must be for:
    /// `REDIS_TLS_SERVER_NAME`, a name or an IP address.
    ///
    /// Default: the host that is connected to; of a node, the hostname or
    /// address that it announces. Needed if the certificate is for another
    /// name, or if all nodes share one. Refused with an address that is not
    /// encrypted.
    pub redis_tls_server_name: Option<String>,

    /// Addresses of nodes and Sentinels, each with the one to connect to:
    /// `REDIS_NODE_MAP`, as `announced=reachable,...`.
    ///
    /// Default: empty. Needed behind address translation or a forwarded port.
    /// An address without a pair is used as it is announced.
    pub redis_node_map: NodeMap,

    /// The user for Sentinels: `REDIS_SENTINEL_USERNAME`.
    ///
    /// Default: none. The user of [`redis_username`](Self::redis_username) is
    /// for the data nodes only. Never printed. Refused without a password.
    pub redis_sentinel_username: Option<String>,

    /// The password for Sentinels: `REDIS_SENTINEL_PASSWORD`, taken verbatim.
    ///
    /// Default: none, and none is sent.
    pub redis_sentinel_password: Option<Secret>,

    /// A file with the password for Sentinels: `REDIS_SENTINEL_PASSWORD_FILE`.
    ///
    /// Default: none. It is read like
    /// [`redis_password_file`](Self::redis_password_file).
    pub redis_sentinel_password_file: Option<PathBuf>,

    /// How a failover of Redis is noticed: `REDIS_HISTORY`.
    ///
    /// Default: `replid`. A server that does not report its history is refused
    /// then.
    pub redis_history: RedisHistory,

    /// The number of the database: `REDIS_DB`; overrides the URL's.
    ///
    /// Default: the URL's, else 0. Instances of one service with different
    /// numbers share no values: after a write by one, the other serves its old
    /// values until their TTL ends.
    pub redis_db: Option<u32>,

    /// Enables the cache: `REDIS_ENABLED`.
    ///
    /// Default: true. If false, every read goes to the database, and other
    /// instances receive no invalidations for writes made here: their copies
    /// live until their TTL ends. The service logs this at start.
    pub redis_enabled: bool,

    /// The maximum number of connections of this process:
    /// `REDIS_MAX_CONNECTIONS`.
    ///
    /// Default: 10. One is reserved for receiving invalidations. With too few,
    /// operations wait for each other. Too many, times the instances, exceed
    /// the server's `maxclients`.
    pub redis_max_connections: usize,

    /// The timeout for connecting, and for a connection without replies:
    /// `REDIS_SOCKET_TIMEOUT` in seconds, fractions allowed.
    ///
    /// Default: 5 s. If too short, a busy server is treated as dead; if too
    /// long, a dead one is noticed late. Callers do not wait for it: their
    /// limit is [`operation_timeout`](Self::operation_timeout).
    pub redis_socket_timeout: Duration,

    /// The timeout of one cache operation, retries included:
    /// `CACHE_OPERATION_TIMEOUT_MS`.
    ///
    /// Default: 250 ms. A slow Redis delays a read by at most this before the
    /// database is queried. If too short, a healthy Redis under load is
    /// bypassed. Must be below [`quarantine_ttl`](Self::quarantine_ttl).
    pub operation_timeout: Duration,

    /// The default TTL of values in Redis: `CACHE_DEFAULT_TTL` in seconds.
    ///
    /// Default: 3600 s. A strategy may set another for its kind. It bounds how
    /// long a write by another program, which sends no invalidation, can go
    /// unnoticed.
    pub default_ttl: Duration,

    /// TTLs by kind, set by an operator: `CACHE_{KIND}_TTL`, where `{KIND}` is
    /// the kind in upper case with `_` for `-`.
    ///
    /// Default: the strategy's, else `CACHE_DEFAULT_TTL`; the map is empty. Read
    /// it through [`ttl_of`](Self::ttl_of).
    pub ttls: BTreeMap<String, Duration>,

    /// The maximum staleness of a local hit if invalidations are lost:
    /// `CACHE_MAX_STALENESS_MS`. Zero switches the local tier off.
    ///
    /// Default: 500 ms. A longer limit serves older values after a loss. A
    /// shorter one checks the connection to Redis more often.
    pub max_staleness: Duration,

    /// How long a key that is being written refuses fills:
    /// `CACHE_QUARANTINE_TTL_MS`.
    ///
    /// Default: 30 s. It must be longer than the longest write transaction, so
    /// keep the database's own timeouts below it. If too short, a slow writer's
    /// old row can be cached after its commit. If long, the keys of a crashed
    /// writer are read from the database for that long.
    pub quarantine_ttl: Duration,

    /// How long readers wait for the leader that loads a key:
    /// `CACHE_LEASE_TTL_MS`.
    ///
    /// Default: 3 s. If shorter than a load, several instances query the
    /// database at once. If longer, the key of a crashed leader is loaded late.
    pub lease_ttl: Duration,

    /// The timeout of a load from the database: `CACHE_LOAD_TIMEOUT_MS`.
    /// A strategy may set another.
    ///
    /// Default: 10 s. If shorter than the slowest query, its callers always get
    /// the repository's [`overloaded`](crate::Source::overloaded) error. If
    /// longer, callers of a query with a dead connection wait that long.
    pub load_timeout: Duration,

    /// The interval between polls of the journal in the database:
    /// `CACHE_JOURNAL_POLL_MS`.
    ///
    /// Default: 500 ms. It bounds the delay of invalidations that could not be
    /// sent to Redis. Each poll of each instance is one query.
    pub journal_poll: Duration,

    /// The maximum number of concurrent loads while Redis is unavailable (a
    /// bulkhead): `CACHE_SOURCE_CONCURRENCY`.
    ///
    /// Default: 64. If the database cannot handle as many, an outage of Redis
    /// becomes one of the database. If far too low, reads are rejected
    /// needlessly.
    pub source_concurrency: usize,

    /// The largest cached value, decompressed: `CACHE_MAX_VALUE_BYTES`. Its
    /// maximum is Redis's own.
    ///
    /// Default: 8 MiB. Larger values are returned but not cached, and one found
    /// in Redis is not decompressed.
    pub max_value_bytes: usize,

    /// The size above which values are compressed:
    /// `CACHE_COMPRESS_ABOVE_BYTES`.
    ///
    /// Default: off. Compression trades processor time for memory and network,
    /// and makes values unreadable with `redis-cli GET`.
    pub compress_above_bytes: Option<usize>,

    /// Memory for local entries of the whole process, which all kinds share:
    /// `CACHE_L1_CAPACITY` in bytes.
    ///
    /// Default: 64 MiB. If too small, hot rows are fetched from Redis again; if
    /// too large, the process may run out of memory.
    pub l1_capacity_bytes: usize,

    /// The prefix of every key, followed by a colon: `CACHE_NAMESPACE`.
    ///
    /// Default: empty. Two services on one Redis need different namespaces;
    /// instances of one service need the same one.
    pub namespace: String,

    /// The share of hits that are compared with the database afterwards:
    /// `CACHE_AUDIT_SHARE`.
    ///
    /// Default: 0, no audit. Regardless of the share, at most ten comparisons
    /// start per second and at most eight run at once. Each is one read of the
    /// database, and up to four if it finds a difference.
    pub audit_share: f64,

    /// The interval at which this instance announces itself to the others:
    /// `CACHE_HEARTBEAT_MS`. Zero announces nothing.
    ///
    /// Default: 5 s. See [`CacheService::fleet`](crate::CacheService::fleet).
    pub heartbeat: Duration,

    /// The name under which it does so: `CACHE_INSTANCE_NAME`.
    ///
    /// Default: the host's name and the process id.
    pub instance_name: Option<String>,

    /// Whether rows are fetched before they are read: `CACHE_PREFETCH`.
    ///
    /// Default: `auto`. It fetches nothing while more than
    /// [`prefetch_waste`](Self::prefetch_waste) of it would be in vain, and has no effect
    /// without a local tier.
    pub prefetch: PrefetchMode,

    /// The share of reads that may fetch a row in vain: `CACHE_PREFETCH_WASTE`.
    ///
    /// Default: 0.05. With more, more rows are there and more are read in vain.
    pub prefetch_waste: f64,

    /// The maximum number of such rows not read yet: `CACHE_PREFETCH_ROWS`.
    ///
    /// Default: 1024. They take at most a 64th of `CACHE_L1_CAPACITY`, or 512 KiB. With
    /// too few, rows are pushed out before they are read.
    pub prefetch_rows: usize,

    /// Memory for the learnt order of reads: `CACHE_PREFETCH_MEMORY` in bytes.
    ///
    /// Default: 4 MiB, for about 65,000 keys.
    pub prefetch_memory_bytes: usize,

    /// How many keys are followed beyond the TTL of their values: `CACHE_ANALYTICS_KEYS`.
    ///
    /// Default: 4096, at 64 bytes each, and at most one of eight. Zero: no advice on TTLs.
    pub analytics_keys: usize,

    /// Keeps the hot set in Redis: `CACHE_HOT_SET`, the keys that an instance holds.
    ///
    /// Default: true. About once a minute one instance writes it for the next start. It
    /// contains ids and index values, and is as secret as the data. If false, an
    /// instance starts with what Redis has, one read after the other.
    pub hot_set: bool,

    /// Samples reads, to know the hot keys: `CACHE_ANALYTICS`.
    ///
    /// Default: true. One of 64 reads is drawn; names of keys stay in this process. Its
    /// memory is 0.6 MiB. If false, nothing is sampled, and no key is followed.
    pub analytics: bool,

    /// The rows that an instance reads at its start: `CACHE_WARM_UP`.
    ///
    /// Default: hot, the hot set. With `all` it reads every row of each kind that it
    /// caches, which loads the database. With `off` it waits for callers.
    pub warm_up: Option<WarmUpFrom>,

    /// How long a start waits for its warm-up: `CACHE_WARM_UP_DEADLINE` in seconds.
    ///
    /// Default: 10 s. [`CacheService::is_warm`](crate::CacheService::is_warm) returns
    /// true then at the latest, and the warm-up goes on.
    pub warm_up_deadline: Duration,

    /// Names among the settings that begin like one of these and are none, such
    /// as `CACHE_HERO_TLL`: a sentence for each, without its value. They are
    /// logged when the service starts.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests;
