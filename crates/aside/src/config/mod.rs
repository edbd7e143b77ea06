//! Settings of one cache service.
//!
//! The struct is plain, so that a test writes it down and a service reads it.
//! `read` goes from variables to fields and knows only how things are spelled;
//! `check` holds every configuration, read or written down, to `limits`, and
//! speaks of fields by their variables' names, which is what operators know.

pub(crate) mod secret;
pub(crate) mod address;
pub(crate) mod credentials;
pub(crate) mod settings;

mod debug;
mod limits;
mod check;
mod read;
mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::secret::Secret;
use crate::config::settings::{ConfigError, Settings};

/// Settings of one cache service.
///
/// Every field has a default that is safe in production; see [`Default`].
/// Build one with struct update syntax and let [`CacheConfig::validate`]
/// reject what cannot work, or read one with [`CacheConfig::from_env`], from
/// the environment, `.env` and a file (see [`Settings`]):
///
/// | variable | default | allowed |
/// |---|---|---|
/// | `REDIS_URL` | `redis://localhost:6379/0` | `redis://`, `rediss://`, `unix://`, `memory://` |
/// | `REDIS_USERNAME`, `REDIS_PASSWORD` | the URL's | any text |
/// | `REDIS_PASSWORD_FILE` | none | a file, in place of the password |
/// | `REDIS_DB` | the URL's, else 0 | 0 to 2147483647 |
/// | `REDIS_TLS_CA` | the public authorities | a file in PEM |
/// | `REDIS_TLS_CERT`, `REDIS_TLS_KEY` | none | files in PEM, both or neither |
/// | `REDIS_ENABLED` | true | true, false |
/// | `REDIS_MAX_CONNECTIONS` | 10 | 2 to 10000 |
/// | `REDIS_SOCKET_TIMEOUT` | 5 | seconds, 0.001 to 600 |
/// | `CACHE_OPERATION_TIMEOUT_MS` | 250 | 1 to 60000, below the quarantine |
/// | `CACHE_DEFAULT_TTL`, `CACHE_{KIND}_TTL` | 3600 | seconds, 1 to 315360000 |
/// | `CACHE_MAX_STALENESS_MS` | 500 | 0, or 50 to 60000 |
/// | `CACHE_QUARANTINE_TTL_MS` | 30000 | 1000 to 600000 |
/// | `CACHE_LEASE_TTL_MS` | 3000 | 100 to 60000 |
/// | `CACHE_LOAD_TIMEOUT_MS` | 10000 | 1 to 600000 |
/// | `CACHE_JOURNAL_POLL_MS` | 500 | 50 to 60000 |
/// | `CACHE_SOURCE_CONCURRENCY` | 64 | 1 to 100000 |
/// | `CACHE_MAX_VALUE_BYTES` | 8MiB | 1 to 512MiB |
/// | `CACHE_COMPRESS_ABOVE_BYTES` | off | off, or 0 to 512MiB |
/// | `CACHE_L1_CAPACITY` | 64MiB | 1 to 1024GiB |
/// | `CACHE_NAMESPACE` | empty | `[a-z0-9_-]+`, not `aside` |
/// | `CACHE_AUDIT_SHARE` | 0 | 0 to 1 |
///
/// Two things cannot be told from a wrong value: a misspelled name, which is
/// not read, and a wrong host, behind which a Redis may yet appear.
///
/// ```
/// use std::time::Duration;
/// use aside::{CacheConfig, Settings};
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
/// assert_eq!(read.ttl_of("hero"), Duration::from_secs(60));
/// assert_eq!(read.l1_capacity_bytes, 16 * 1024 * 1024);
/// assert!(!format!("{read:?}").contains("s3cret"));
///
/// let wrong = Settings::from_pairs([("REDIS_MAX_CONNECTIONS", "1")]);
/// assert_eq!(
///     CacheConfig::from_settings(&wrong).unwrap_err().to_string(),
///     "REDIS_MAX_CONNECTIONS is `1`: 2 to 10000 \
///      (at least one for commands and one to hear invalidations)",
/// );
/// # Ok::<(), aside::ConfigError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct CacheConfig {
    /// Where Redis is: `REDIS_URL`. It may hold a password, so it is a secret
    /// as a whole; user and password in it are percent-encoded.
    ///
    /// Default: `redis://localhost:6379/0`. A wrong host is not noticed here:
    /// the service starts and answers from the database.
    pub redis_url: Secret,

    /// The user to authenticate as: `REDIS_USERNAME`; overrides the URL's.
    ///
    /// Default: the URL's, else Redis's own `default`. Never printed. Without
    /// a password it would have no effect, which is refused.
    pub redis_username: Option<String>,

    /// The password: `REDIS_PASSWORD`, taken to the letter; overrides the
    /// URL's.
    ///
    /// Default: the URL's, else none. A wrong one makes Redis unavailable.
    pub redis_password: Option<Secret>,

    /// A file with the password: `REDIS_PASSWORD_FILE`; overrides the URL's.
    ///
    /// Default: none. It is read again at each connection, so that the password
    /// can change while the service runs; a line end after it does not belong
    /// to it. Together with [`redis_password`](Self::redis_password) it is
    /// refused.
    pub redis_password_file: Option<PathBuf>,

    /// The certificate authority that signed the server's certificate:
    /// `REDIS_TLS_CA`, a file in PEM.
    ///
    /// Default: the public authorities. With a `redis://` address it is
    /// refused, because the connection would not be encrypted at all.
    pub redis_tls_ca: Option<PathBuf>,

    /// The certificate this process shows: `REDIS_TLS_CERT`, a file in PEM.
    ///
    /// Default: none. Needs [`redis_tls_key`](Self::redis_tls_key).
    pub redis_tls_cert: Option<PathBuf>,

    /// The private key of that certificate: `REDIS_TLS_KEY`, a file in PEM.
    ///
    /// Default: none. Needs [`redis_tls_cert`](Self::redis_tls_cert).
    pub redis_tls_key: Option<PathBuf>,

    /// The number of the database: `REDIS_DB`; overrides the URL's.
    ///
    /// Default: the URL's, else 0. Two instances of one service with different
    /// numbers share no values, and a write by one leaves the other's stale
    /// until their TTL.
    pub redis_db: Option<u32>,

    /// Whether anything is cached: `REDIS_ENABLED`.
    ///
    /// Default: true. With false every read goes to the database, and other
    /// instances do not hear of the writes made here: what they hold lives
    /// until its TTL. A service started so says that in its log.
    pub redis_enabled: bool,

    /// The most connections this process opens: `REDIS_MAX_CONNECTIONS`, 2 to
    /// 10000.
    ///
    /// Default: 10. One is kept for hearing invalidations. Too few make
    /// operations wait for each other; too many, times the instances, run into
    /// the server's `maxclients`.
    pub redis_max_connections: usize,

    /// How long connecting may take, and after how long a silent connection
    /// is given up: `REDIS_SOCKET_TIMEOUT` in seconds, 0.001 to 600, fractions
    /// allowed.
    ///
    /// Default: 5 s. Too short, and a busy server is taken for a dead one; too
    /// long, and a dead one is noticed late. No caller waits for it: they have
    /// [`operation_timeout`](Self::operation_timeout).
    pub redis_socket_timeout: Duration,

    /// How long one cache operation may take, whatever it retries:
    /// `CACHE_OPERATION_TIMEOUT_MS`, 1 to 60000.
    ///
    /// Default: 250 ms. It is what a slow Redis can add to a read before the
    /// database is asked. Too short, and a healthy Redis under load is
    /// bypassed; must be below [`quarantine_ttl`](Self::quarantine_ttl).
    pub operation_timeout: Duration,

    /// How long a value is kept in Redis where nothing else is said:
    /// `CACHE_DEFAULT_TTL` in seconds, 1 to 315360000 (ten years).
    ///
    /// Default: 3600 s. It bounds how long a write made behind the cache's
    /// back, by a program that reports nothing, can go unnoticed.
    pub default_ttl: Duration,

    /// The same by kind, as an operator set it: `CACHE_{KIND}_TTL`, where
    /// `{KIND}` is the kind in upper case with `_` for `-`.
    ///
    /// Default: empty. Read it through [`ttl_of`](Self::ttl_of).
    pub ttls: BTreeMap<String, Duration>,

    /// The same by kind, as the application has it where the operator says
    /// nothing; see [`with_ttl_default`](Self::with_ttl_default).
    ///
    /// Default: empty.
    pub ttl_defaults: BTreeMap<String, Duration>,

    /// The age that an in-process hit can reach when invalidation messages
    /// are lost: `CACHE_MAX_STALENESS_MS`, 50 to 60000, or 0 for no in-process
    /// tier.
    ///
    /// Default: 500 ms. Longer serves older values after a lost message;
    /// shorter asks Redis more often whether messages still come.
    pub max_staleness: Duration,

    /// How long a key that is being written stays closed to fills:
    /// `CACHE_QUARANTINE_TTL_MS`, 1000 to 600000.
    ///
    /// Default: 30 s. It must outlive the longest write transaction, so keep
    /// the database's own timeouts below it: where it is too short, a slow
    /// writer's old row can be cached after its commit. Where it is long, the
    /// keys of a writer that died are read from the database for that long.
    pub quarantine_ttl: Duration,

    /// How long others wait for the one that loads a key:
    /// `CACHE_LEASE_TTL_MS`, 100 to 60000.
    ///
    /// Default: 3 s. Shorter than a load, and the database is asked by several
    /// at once; longer, and the key of a loader that died is loaded late.
    pub lease_ttl: Duration,

    /// How long a load from the database may take: `CACHE_LOAD_TIMEOUT_MS`, 1 to
    /// 600000. A strategy may set its own.
    ///
    /// Default: 10 s. Shorter than the slowest query, and its callers always get
    /// the repository's [`overloaded`](crate::Repository::overloaded) error; longer,
    /// and a query whose connection has died keeps its caller waiting for that long.
    pub load_timeout: Duration,

    /// How often the journal in the database is read:
    /// `CACHE_JOURNAL_POLL_MS`, 50 to 60000.
    ///
    /// Default: 500 ms. It bounds how late a write is heard of that could not
    /// be told to Redis; each poll of each instance is one query.
    pub journal_poll: Duration,

    /// How many loads may run at once while Redis is away:
    /// `CACHE_SOURCE_CONCURRENCY`, 1 to 100000.
    ///
    /// Default: 64. Above what the database bears, an outage of Redis becomes
    /// one of the database; far below, reads are turned away needlessly.
    pub source_concurrency: usize,

    /// The largest value that is cached, decompressed:
    /// `CACHE_MAX_VALUE_BYTES`, 1 to 512 MiB (Redis's own limit).
    ///
    /// Default: 8 MiB. Larger values are answered but not cached, and one
    /// found in Redis is not decompressed.
    pub max_value_bytes: usize,

    /// From which size on values are compressed:
    /// `CACHE_COMPRESS_ABOVE_BYTES`, up to 512 MiB, or `off`.
    ///
    /// Default: off. Compression saves memory and network for processor time,
    /// and makes values unreadable with `redis-cli GET`.
    pub compress_above_bytes: Option<usize>,

    /// Memory for in-process entries of the whole process, shared out over
    /// the kinds: `CACHE_L1_CAPACITY` in bytes, 1 to 1024 GiB.
    ///
    /// Default: 64 MiB. Too little, and hot rows are fetched from Redis again;
    /// too much, and the process is killed for it.
    pub l1_capacity_bytes: usize,

    /// What stands, with a colon, before every key: `CACHE_NAMESPACE`,
    /// `[a-z0-9_-]+` or empty, and not `aside`.
    ///
    /// Default: empty. Two services on one Redis need two namespaces; two
    /// instances of one service need the same.
    pub namespace: String,

    /// Which share of the hits is compared with the database afterwards:
    /// `CACHE_AUDIT_SHARE`, 0 to 1.
    ///
    /// Default: 0, no audit. At most ten comparisons begin in a second and
    /// eight are under way, whatever the share; each is one read of the
    /// database, and up to four where it finds a difference.
    pub audit_share: f64,
}

impl CacheConfig {
    /// Reads the settings of this process; see [`Settings::load`].
    ///
    /// # Errors
    ///
    /// Every problem of every setting at once. A service should print them
    /// and not start.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_settings(&Settings::load()?)
    }

    /// Reads the settings of the cache among `settings`.
    ///
    /// # Errors
    ///
    /// Every problem of every setting at once.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        settings.read(Self::read)
    }

    /// Says how long values of `kind` are kept where no `CACHE_{KIND}_TTL`
    /// does. It stands above `CACHE_DEFAULT_TTL`, which is for kinds that
    /// nobody has thought about.
    ///
    /// ```
    /// use std::time::Duration;
    /// use aside::{CacheConfig, Settings};
    ///
    /// let settings = Settings::from_pairs([("CACHE_DEFAULT_TTL", "7"), ("CACHE_HERO_TTL", "60")]);
    /// let config = CacheConfig::from_settings(&settings)?
    ///     .with_ttl_default("hero", Duration::from_secs(3600))
    ///     .with_ttl_default("story", Duration::from_secs(600));
    /// assert_eq!(config.ttl_of("hero"), Duration::from_secs(60));
    /// assert_eq!(config.ttl_of("story"), Duration::from_secs(600));
    /// assert_eq!(config.ttl_of("other"), Duration::from_secs(7));
    /// # Ok::<(), aside::ConfigError>(())
    /// ```
    #[must_use]
    pub fn with_ttl_default(mut self, kind: &str, ttl: Duration) -> Self {
        self.ttl_defaults.insert(kind.to_owned(), ttl);
        self
    }

    /// How long values of `kind` are kept: its own setting, else the
    /// application's default for it, else [`default_ttl`](Self::default_ttl).
    #[must_use]
    pub fn ttl_of(&self, kind: &str) -> Duration {
        by_kind(&self.ttls, kind)
            .or_else(|| by_kind(&self.ttl_defaults, kind))
            .unwrap_or(self.default_ttl)
    }
}

/// Looks a kind up the way its variable's name spells it, so that `tale-hero`
/// and `tale_hero` are one, whoever wrote the map.
fn by_kind(ttls: &BTreeMap<String, Duration>, kind: &str) -> Option<Duration> {
    let spelled = kind_in_a_name(kind);
    ttls.iter()
        .find(|(known, _)| kind_in_a_name(known) == spelled)
        .map(|(_, ttl)| *ttl)
}

fn kind_in_a_name(kind: &str) -> String {
    kind.to_ascii_uppercase().replace('-', "_")
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            redis_url: Secret::new("redis://localhost:6379/0"),
            redis_username: None,
            redis_password: None,
            redis_password_file: None,
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
            ttl_defaults: BTreeMap::new(),
            max_staleness: Duration::from_millis(500),
            quarantine_ttl: Duration::from_secs(30),
            lease_ttl: Duration::from_secs(3),
            load_timeout: Duration::from_secs(10),
            journal_poll: Duration::from_millis(500),
            source_concurrency: 64,
            max_value_bytes: 8 * 1024 * 1024,
            compress_above_bytes: None,
            l1_capacity_bytes: 64 * 1024 * 1024,
            namespace: String::new(),
            audit_share: 0.0,
        }
    }
}

#[cfg(test)]
mod tests;
