//! The settings from the environment, read together with the cache's.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use aside::{
    CacheConfig, Secret,
    settings::{ConfigError, Settings},
};
use tracing::level_filters::LevelFilter;

use crate::sql::{Database, DatabaseOptions};

/// A setting of the program. `docs/settings.md` has the same texts.
struct Setting {
    name: &'static str,
    /// In words if no value sets it.
    default: &'static str,
    allowed: &'static str,
}

const DATABASE_URL: Setting = Setting {
    name: "DATABASE_URL",
    default: "sqlite:tales.db",
    allowed: "sqlite:FILE, or postgres://USER:PASSWORD@HOST/DATABASE",
};
const LOG_LEVEL: Setting = Setting {
    name: "LOG_LEVEL",
    default: "info; warn beside a progress bar",
    allowed: "off, error, warn, info, debug or trace",
};
const LOG_FORMAT: Setting = Setting {
    name: "LOG_FORMAT",
    default: "text",
    allowed: "text or json",
};
const ADMIN_TOKEN: Setting = Setting {
    name: "ADMIN_TOKEN",
    default: "none",
    allowed: TOKEN,
};
const ADMIN_READ_TOKEN: Setting = Setting {
    name: "ADMIN_READ_TOKEN",
    default: "none",
    allowed: TOKEN,
};
const ADMIN_LISTEN: Setting = Setting {
    name: "ADMIN_LISTEN",
    default: "none",
    allowed: "a unix socket, as in unix:/run/tales/admin.sock, or a loopback address, as in \
              127.0.0.1:9090",
};

const TOKEN: &str = "at least 16 bytes";
const MIN_TOKEN_BYTES: usize = 16;

/// The settings of the program.
#[derive(Clone)]
pub struct AppSettings {
    /// The cache's settings, with the TTLs of the three kinds.
    pub cache: CacheConfig,
    /// `DATABASE_URL`, or `--database`. Default: `sqlite:tales.db`.
    pub database_url: Secret,
    /// `LOG_LEVEL`: off, error, warn, info, debug or trace. Default: info, and
    /// warn beside a progress bar.
    pub log_level: Option<LevelFilter>,
    /// `LOG_FORMAT`: text or json. Default: text.
    pub log_format: LogFormat,
    /// `ADMIN_TOKEN`, at least 16 bytes. Default: none, and `/cache/...` is not
    /// served on the public listener.
    pub admin_token: Option<Secret>,
    /// `ADMIN_READ_TOKEN`, at least 16 bytes, which permits only GET. Default:
    /// none.
    pub admin_read_token: Option<Secret>,
    /// `ADMIN_LISTEN`, which serves `/cache/...` to this machine without a
    /// token. Default: none.
    pub admin_listen: Option<AdminListen>,
}

/// A separate listener for `/cache/...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminListen {
    /// A loopback address, to which no proxy may forward.
    Loopback(SocketAddr),
    /// A Unix socket, accessible only to this user.
    Socket(PathBuf),
}

impl AdminListen {
    fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix("unix://");
        if let Some(path) = path.or_else(|| text.strip_prefix("unix:")) {
            return (!path.is_empty()).then(|| Self::Socket(path.into()));
        }
        if text.starts_with('/') {
            return Some(Self::Socket(text.into()));
        }
        let address = match text.strip_prefix("localhost:") {
            Some(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?)),
            None => text.parse().ok()?,
        };
        let loopback = address.ip().to_canonical().is_loopback();
        loopback.then_some(Self::Loopback(address))
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one object per line.
    Json,
}

impl LogFormat {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl AppSettings {
    /// Reads the environment, `.env` and the settings file. `database`
    /// overrides their database.
    ///
    /// # Errors
    /// All problems of all settings.
    pub fn load(database: Option<&str>) -> Result<Self, ConfigError> {
        Self::read(&Settings::load()?, database)
    }

    /// Reads `settings`. `database` overrides their database.
    ///
    /// # Errors
    /// All problems of all settings.
    pub fn read(settings: &Settings, database: Option<&str>) -> Result<Self, ConfigError> {
        settings.read(|reader| {
            let cache = CacheConfig::read(reader);
            let (name, database_url) = match database {
                Some(url) => ("--database", Some(Secret::new(url))),
                None => (DATABASE_URL.name, reader.url(DATABASE_URL.name)),
            };
            let database_url = database_url.unwrap_or_else(|| Secret::new(DATABASE_URL.default));
            if !Database::understands(database_url.expose()) {
                reader.refuse(name, DATABASE_URL.allowed);
            }
            let log_level = reader.parse(LOG_LEVEL.name, LOG_LEVEL.allowed, log_level);
            let log_format = reader.parse(LOG_FORMAT.name, LOG_FORMAT.allowed, LogFormat::parse);
            let mut token = |setting: &Setting| {
                let token = reader.secret(setting.name);
                let short = |token: &Secret| token.expose().len() < MIN_TOKEN_BYTES;
                if token.as_ref().is_some_and(short) {
                    reader.refuse(setting.name, setting.allowed);
                }
                token
            };
            let admin_token = token(&ADMIN_TOKEN);
            let admin_read_token = token(&ADMIN_READ_TOKEN);
            let (name, allowed) = (ADMIN_LISTEN.name, ADMIN_LISTEN.allowed);
            let admin_listen = reader.parse(name, allowed, AdminListen::parse);
            Self {
                cache,
                database_url,
                log_level,
                log_format: log_format.unwrap_or_default(),
                admin_token,
                admin_read_token,
                admin_listen,
            }
        })
    }

    /// Returns the options for a database beside this cache. A transaction must
    /// end while the quarantine still keeps its rows out of the cache.
    #[must_use]
    pub fn database_options(&self) -> DatabaseOptions {
        let default = DatabaseOptions::default();
        let longest: Duration = self.cache.quarantine_ttl * 2 / 3;
        DatabaseOptions {
            longest_transaction: default.longest_transaction.min(longest),
            ..default
        }
    }
}

fn log_level(text: &str) -> Option<LevelFilter> {
    match text.to_ascii_lowercase().as_str() {
        "off" => Some(LevelFilter::OFF),
        "error" => Some(LevelFilter::ERROR),
        "warn" | "warning" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

impl fmt::Debug for AppSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AppSettings")
            .field("cache", &self.cache)
            .field("log_level", &self.log_level)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::strategies::{ChildCacheStrategy, HeroCacheStrategy, StoryCacheStrategy};

    #[test]
    fn the_documentation_agrees_with_the_settings() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, part) = page.split_once("## The Tale Generator\n").unwrap();
        let rows = part.lines().filter(|line| line.starts_with("| `")).count();
        let part = part.replace('`', "").replace('\n', " ");
        let settings = [
            DATABASE_URL,
            LOG_LEVEL,
            LOG_FORMAT,
            ADMIN_TOKEN,
            ADMIN_READ_TOKEN,
            ADMIN_LISTEN,
        ];
        assert_eq!(rows, settings.len());
        for setting in settings {
            let Setting {
                name,
                default,
                allowed,
            } = setting;
            let row = format!("| {name} | {default} | {allowed} | ");
            assert!(part.contains(&row), "{row}");
        }
        let [hero, child, story] = [
            HeroCacheStrategy::TTL,
            ChildCacheStrategy::TTL,
            StoryCacheStrategy::TTL,
        ]
        .map(|ttl| ttl.as_secs());
        let ttls = format!(
            "heroes are cached for {hero} seconds, children for {child} and stories for {story}."
        );
        assert!(part.contains(&ttls), "{ttls}");
    }

    #[test]
    fn unset_settings_have_the_documented_defaults() {
        let unset = Settings::from_pairs::<&str, &str>([]);
        let settings = AppSettings::read(&unset, None).unwrap();
        assert_eq!(settings.database_url, Secret::new(DATABASE_URL.default));
        assert_eq!(
            Some(settings.log_format),
            LogFormat::parse(LOG_FORMAT.default)
        );
    }

    #[test]
    fn the_admin_listener_is_a_socket_or_a_loopback_address() {
        let socket = |path: &str| Some(AdminListen::Socket(path.into()));
        let loopback = |text: &str| Some(AdminListen::Loopback(text.parse().unwrap()));
        for (text, read) in [
            ("unix:/run/a.sock", socket("/run/a.sock")),
            ("unix:///run/a.sock", socket("/run/a.sock")),
            ("/run/a.sock", socket("/run/a.sock")),
            ("127.0.0.1:9090", loopback("127.0.0.1:9090")),
            ("[::1]:9090", loopback("[::1]:9090")),
            ("localhost:9090", loopback("127.0.0.1:9090")),
            ("0.0.0.0:9090", None),
            ("[::]:9090", None),
            ("10.0.0.1:9090", None),
            ("9090", None),
            ("unix:", None),
            ("localhost", None),
        ] {
            assert_eq!(AdminListen::parse(text), read, "{text}");
        }
    }
}
