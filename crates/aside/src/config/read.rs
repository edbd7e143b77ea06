//! Reading a configuration from settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aside_redis::{NodeMap, NodeMapError};

use crate::config::history::RedisHistory;
use crate::config::settings::SettingsReader;
use crate::config::{CacheConfig, limits};

impl CacheConfig {
    /// Reads the settings of the cache together with others, so that the
    /// application's problems and the cache's are reported together; see
    /// [`Settings`].
    ///
    /// [`Settings`]: crate::settings::Settings
    #[must_use]
    pub fn read(reader: &mut SettingsReader<'_>) -> Self {
        // Problems are reported in the order of these reads.
        let config = Self::read_redis(reader, Self::default());
        let config = Self::read_times(reader, config);
        let config = Self::read_sizes(reader, config);
        if let Err(error) = config.validate() {
            for problem in error.problems() {
                reader.problem(problem.clone());
            }
        }
        config
    }

    /// Reads the connection to Redis; the other fields stay as in `default`.
    fn read_redis(reader: &mut SettingsReader<'_>, default: Self) -> Self {
        Self {
            redis_url: reader.url("REDIS_URL").unwrap_or(default.redis_url),
            redis_username: username(reader, "REDIS_USERNAME"),
            redis_password: reader.secret("REDIS_PASSWORD"),
            redis_password_file: reader.text("REDIS_PASSWORD_FILE").map(PathBuf::from),
            redis_tls_ca: reader.text("REDIS_TLS_CA").map(PathBuf::from),
            redis_tls_cert: reader.text("REDIS_TLS_CERT").map(PathBuf::from),
            redis_tls_key: reader.text("REDIS_TLS_KEY").map(PathBuf::from),
            redis_tls_server_name: reader.text("REDIS_TLS_SERVER_NAME"),
            redis_node_map: node_map(reader),
            redis_sentinel_username: username(reader, "REDIS_SENTINEL_USERNAME"),
            redis_sentinel_password: reader.secret("REDIS_SENTINEL_PASSWORD"),
            redis_sentinel_password_file: reader
                .text("REDIS_SENTINEL_PASSWORD_FILE")
                .map(PathBuf::from),
            redis_history: reader
                .parse("REDIS_HISTORY", RedisHistory::ALLOWED, RedisHistory::parse)
                .unwrap_or(default.redis_history),
            redis_db: reader.parse("REDIS_DB", limits::DB.allowed, |text| {
                text.parse().ok().filter(|_| !text.starts_with('+'))
            }),
            redis_enabled: reader
                .flag("REDIS_ENABLED")
                .unwrap_or(default.redis_enabled),
            redis_max_connections: count(
                reader,
                "REDIS_MAX_CONNECTIONS",
                limits::MAX_CONNECTIONS.allowed,
            )
            .unwrap_or(default.redis_max_connections),
            redis_socket_timeout: reader
                .parse(
                    "REDIS_SOCKET_TIMEOUT",
                    limits::SOCKET_TIMEOUT.allowed,
                    |text| Duration::try_from_secs_f64(text.parse().ok()?).ok(),
                )
                .unwrap_or(default.redis_socket_timeout),
            ..default
        }
    }

    /// Reads deadlines and lifetimes; the other fields stay as in `default`.
    fn read_times(reader: &mut SettingsReader<'_>, default: Self) -> Self {
        Self {
            operation_timeout: millis(
                reader,
                "CACHE_OPERATION_TIMEOUT_MS",
                limits::OPERATION_TIMEOUT.allowed,
            )
            .unwrap_or(default.operation_timeout),
            default_ttl: reader
                .number("CACHE_DEFAULT_TTL", limits::TTL.allowed)
                .map_or(default.default_ttl, Duration::from_secs),
            ttls: ttls(reader),
            max_staleness: millis(
                reader,
                "CACHE_MAX_STALENESS_MS",
                limits::MAX_STALENESS.allowed,
            )
            .unwrap_or(default.max_staleness),
            quarantine_ttl: millis(
                reader,
                "CACHE_QUARANTINE_TTL_MS",
                limits::QUARANTINE_TTL.allowed,
            )
            .unwrap_or(default.quarantine_ttl),
            lease_ttl: millis(reader, "CACHE_LEASE_TTL_MS", limits::LEASE_TTL.allowed)
                .unwrap_or(default.lease_ttl),
            load_timeout: millis(
                reader,
                "CACHE_LOAD_TIMEOUT_MS",
                limits::LOAD_TIMEOUT.allowed,
            )
            .unwrap_or(default.load_timeout),
            journal_poll: millis(
                reader,
                "CACHE_JOURNAL_POLL_MS",
                limits::JOURNAL_POLL.allowed,
            )
            .unwrap_or(default.journal_poll),
            ..default
        }
    }

    /// Reads limits and the namespace; the other fields stay as in `default`.
    fn read_sizes(reader: &mut SettingsReader<'_>, default: Self) -> Self {
        Self {
            source_concurrency: count(
                reader,
                "CACHE_SOURCE_CONCURRENCY",
                limits::SOURCE_CONCURRENCY.allowed,
            )
            .unwrap_or(default.source_concurrency),
            max_value_bytes: reader
                .bytes("CACHE_MAX_VALUE_BYTES", limits::MAX_VALUE_BYTES.allowed)
                .unwrap_or(default.max_value_bytes),
            compress_above_bytes: compress_above_bytes(reader),
            l1_capacity_bytes: reader
                .bytes("CACHE_L1_CAPACITY", limits::L1_CAPACITY.allowed)
                .unwrap_or(default.l1_capacity_bytes),
            namespace: reader.text("CACHE_NAMESPACE").unwrap_or(default.namespace),
            audit_share: reader
                .parse("CACHE_AUDIT_SHARE", limits::AUDIT_SHARE.1, |text| {
                    text.parse().ok()
                })
                .unwrap_or(default.audit_share),
            ..default
        }
    }
}

/// Reads a user, which is a secret until it is known to be one.
fn username(reader: &mut SettingsReader<'_>, name: &str) -> Option<String> {
    let username = reader.secret(name)?;
    Some(username.expose().to_owned())
}

fn node_map(reader: &mut SettingsReader<'_>) -> NodeMap {
    let text = reader.text("REDIS_NODE_MAP").unwrap_or_default();
    text.parse().unwrap_or_else(|error: NodeMapError| {
        reader.problem(format!("REDIS_NODE_MAP is wrong: {error}"));
        NodeMap::default()
    })
}

/// Reads every `CACHE_{KIND}_TTL`, including those of unknown kinds.
fn ttls(reader: &mut SettingsReader<'_>) -> BTreeMap<String, Duration> {
    let mut ttls = BTreeMap::new();
    for name in reader.settings().names() {
        let Some(kind) = kind_of(name) else { continue };
        if let Some(seconds) = reader.number(name, limits::TTL.allowed) {
            ttls.insert(kind, Duration::from_secs(seconds));
        }
    }
    ttls
}

/// Returns the kind in a variable's name, in lower case.
fn kind_of(name: &str) -> Option<String> {
    let kind = name.strip_prefix("CACHE_")?.strip_suffix("_TTL")?;
    let spelled = !kind.is_empty()
        && kind
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    (spelled && kind != "DEFAULT").then(|| kind.to_ascii_lowercase())
}

fn compress_above_bytes(reader: &mut SettingsReader<'_>) -> Option<usize> {
    const NAME: &str = "CACHE_COMPRESS_ABOVE_BYTES";
    // `off` can override a value set in a file.
    if reader
        .text(NAME)
        .is_some_and(|text| text.eq_ignore_ascii_case("off"))
    {
        return None;
    }
    reader.bytes(NAME, limits::COMPRESS_ABOVE_BYTES.allowed)
}

fn millis(reader: &mut SettingsReader<'_>, name: &str, allowed: &str) -> Option<Duration> {
    reader.number(name, allowed).map(Duration::from_millis)
}

fn count(reader: &mut SettingsReader<'_>, name: &str, allowed: &str) -> Option<usize> {
    reader.parse(name, allowed, |text| {
        text.parse().ok().filter(|_| !text.starts_with('+'))
    })
}
