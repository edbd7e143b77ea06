//! Reading a configuration from settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aside_redis::{NodeMap, NodeMapError, Secret};

use crate::config::CacheConfig;
use crate::config::history::RedisHistory;
use crate::config::prefetch::PrefetchMode;
use crate::config::setting::{self, Setting, kind_of_ttl};
use crate::config::settings::{ConfigError, Settings, SettingsReader, units};
use crate::config::unknown;
use crate::config::warm_up::WarmUpFrom;

impl Default for CacheConfig {
    fn default() -> Self {
        let unset = Settings::from_pairs::<&str, &str>([]);
        let read = unset.read(Self::read_fields);
        read.expect("settings that are unset are not wrong")
    }
}

impl CacheConfig {
    /// Reads the settings of this process; see [`Settings::load`].
    ///
    /// # Errors
    ///
    /// Every problem of every setting at once. A service should print them and
    /// exit.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_settings(&Settings::load()?)
    }

    /// Reads the settings of the cache from `settings`.
    ///
    /// # Errors
    ///
    /// Every problem of every setting at once.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        settings.read(Self::read)
    }

    /// Reads the settings of the cache together with others, so that the
    /// application's problems and the cache's are reported together; see
    /// [`Settings`].
    ///
    /// [`Settings`]: crate::settings::Settings
    #[must_use]
    pub fn read(reader: &mut SettingsReader<'_>) -> Self {
        let config = Self::read_fields(reader);
        if let Err(error) = config.validate() {
            for problem in error.problems() {
                reader.problem(problem.clone());
            }
        }
        config
    }

    /// Reads each field, or takes its default. Problems are reported in the
    /// order of the fields.
    fn read_fields(reader: &mut SettingsReader<'_>) -> Self {
        Self {
            redis_url: reader
                .url(setting::URL.name)
                .unwrap_or_else(|| Secret::new(setting::URL.default)),
            redis_username: username(reader, &setting::USERNAME),
            redis_password: reader.secret(setting::PASSWORD.name),
            redis_password_file: path(reader, &setting::PASSWORD_FILE),
            redis_tls_ca: path(reader, &setting::TLS_CA),
            redis_tls_cert: path(reader, &setting::TLS_CERT),
            redis_tls_key: path(reader, &setting::TLS_KEY),
            redis_tls_server_name: reader.text(setting::TLS_SERVER_NAME.name),
            redis_node_map: node_map(reader),
            redis_sentinel_username: username(reader, &setting::SENTINEL_USERNAME),
            redis_sentinel_password: reader.secret(setting::SENTINEL_PASSWORD.name),
            redis_sentinel_password_file: path(reader, &setting::SENTINEL_PASSWORD_FILE),
            redis_history: value(reader, &setting::HISTORY, RedisHistory::parse),
            redis_db: reader.parse(setting::DB.name, setting::DB.allowed, whole),
            redis_enabled: value(reader, &setting::ENABLED, units::flag),
            redis_max_connections: value(reader, &setting::MAX_CONNECTIONS, whole),
            redis_socket_timeout: value(reader, &setting::SOCKET_TIMEOUT, fractional_seconds),
            operation_timeout: value(reader, &setting::OPERATION_TIMEOUT, millis),
            default_ttl: value(reader, &setting::DEFAULT_TTL, seconds),
            ttls: ttls(reader),
            max_staleness: value(reader, &setting::MAX_STALENESS, millis),
            quarantine_ttl: value(reader, &setting::QUARANTINE_TTL, millis),
            lease_ttl: value(reader, &setting::LEASE_TTL, millis),
            load_timeout: value(reader, &setting::LOAD_TIMEOUT, millis),
            journal_poll: value(reader, &setting::JOURNAL_POLL, millis),
            source_concurrency: value(reader, &setting::SOURCE_CONCURRENCY, whole),
            max_value_bytes: value(reader, &setting::MAX_VALUE_BYTES, units::bytes),
            compress_above_bytes: value(reader, &setting::COMPRESS_ABOVE_BYTES, bytes_or_off),
            l1_capacity_bytes: value(reader, &setting::L1_CAPACITY, units::bytes),
            namespace: reader.text(setting::NAMESPACE.name).unwrap_or_default(),
            hot_set: value(reader, &setting::HOT_SET, units::flag),
            analytics: value(reader, &setting::ANALYTICS, units::flag),
            warm_up: value(reader, &setting::WARM_UP, WarmUpFrom::parse),
            warm_up_deadline: value(reader, &setting::WARM_UP_DEADLINE, fractional_seconds),
            audit_share: value(reader, &setting::AUDIT_SHARE, |text| text.parse().ok()),
            heartbeat: value(reader, &setting::HEARTBEAT, millis),
            instance_name: reader.text(setting::INSTANCE_NAME.name),
            prefetch: value(reader, &setting::PREFETCH, PrefetchMode::parse),
            prefetch_waste: value(reader, &setting::PREFETCH_WASTE, |text| text.parse().ok()),
            prefetch_rows: value(reader, &setting::PREFETCH_ROWS, whole),
            prefetch_memory_bytes: value(reader, &setting::PREFETCH_MEMORY, units::bytes),
            analytics_keys: value(reader, &setting::ANALYTICS_KEYS, whole),
            warnings: unknown::warnings(reader.settings().names()),
        }
    }
}

/// Reads a setting, or takes its default, which is spelled as a value.
fn value<T>(reader: &mut SettingsReader<'_>, setting: &Setting, parse: fn(&str) -> Option<T>) -> T {
    let read = reader.parse(setting.name, setting.allowed, parse);
    let read = read.or_else(|| parse(setting.default));
    read.unwrap_or_else(|| panic!("the default of {} is no value", setting.name))
}

/// Reads a user, which is a secret until it is known to be one.
fn username(reader: &mut SettingsReader<'_>, setting: &Setting) -> Option<String> {
    let username = reader.secret(setting.name)?;
    Some(username.expose().to_owned())
}

fn path(reader: &mut SettingsReader<'_>, setting: &Setting) -> Option<PathBuf> {
    reader.text(setting.name).map(PathBuf::from)
}

fn node_map(reader: &mut SettingsReader<'_>) -> NodeMap {
    let name = setting::NODE_MAP.name;
    let text = reader.text(name).unwrap_or_default();
    text.parse().unwrap_or_else(|error: NodeMapError| {
        reader.problem(format!("{name} is wrong: {error}"));
        NodeMap::default()
    })
}

/// Reads every `CACHE_{KIND}_TTL`, including those of unknown kinds.
fn ttls(reader: &mut SettingsReader<'_>) -> BTreeMap<String, Duration> {
    let mut ttls = BTreeMap::new();
    for name in reader.settings().names() {
        let Some(kind) = kind_of_ttl(name) else {
            continue;
        };
        if let Some(ttl) = reader.parse(name, setting::KIND_TTL.allowed, seconds) {
            ttls.insert(kind, ttl);
        }
    }
    ttls
}

fn whole<N: TryFrom<u64>>(text: &str) -> Option<N> {
    units::number(text)?.try_into().ok()
}

fn seconds(text: &str) -> Option<Duration> {
    units::number(text).map(Duration::from_secs)
}

fn fractional_seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

fn millis(text: &str) -> Option<Duration> {
    units::number(text).map(Duration::from_millis)
}

/// `off` can override a value set in a file.
fn bytes_or_off(text: &str) -> Option<Option<usize>> {
    match text.eq_ignore_ascii_case("off") {
        true => Some(None),
        false => units::bytes(text).map(Some),
    }
}
