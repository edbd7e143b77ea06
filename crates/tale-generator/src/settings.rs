//! What the environment says, read in one go with the cache's own settings.

use std::fmt;
use std::time::Duration;

use aside::{CacheConfig, ConfigError, Secret, Settings};
use tracing::level_filters::LevelFilter;

use crate::sql::{Database, DatabaseOptions};
use crate::strategies::with_ttl_defaults;

/// The settings of the program.
#[derive(Clone)]
pub struct AppSettings {
    /// The cache's, with the TTLs of the three kinds.
    pub cache: CacheConfig,
    /// `DATABASE_URL`, or `--database`. Default: `sqlite:tales.db`.
    pub database_url: Secret,
    /// `LOG_LEVEL`: off, error, warn, info, debug or trace. Default: info, and
    /// warn beside a progress bar.
    pub log_level: Option<LevelFilter>,
    /// `LOG_FORMAT`: text or json. Default: text.
    pub log_format: LogFormat,
    /// `ADMIN_TOKEN`, at least 16 bytes. Default: none, and `/cache/...` is
    /// for this machine only.
    pub admin_token: Option<Secret>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object per line.
    Json,
}

impl AppSettings {
    /// Reads the environment, `.env` and the settings file; `database` stands
    /// above what they say of the database.
    ///
    /// # Errors
    /// Every problem of every setting at once.
    pub fn load(database: Option<&str>) -> Result<Self, ConfigError> {
        Self::read(&Settings::load()?, database)
    }

    /// Reads `settings`; `database` stands above what they say of the
    /// database.
    ///
    /// # Errors
    /// Every problem of every setting at once.
    pub fn read(settings: &Settings, database: Option<&str>) -> Result<Self, ConfigError> {
        const TOKEN_BYTES: usize = 16;
        settings.read(|reader| {
            let cache = with_ttl_defaults(CacheConfig::read(reader));
            let (name, database_url) = match database {
                Some(url) => ("--database", Some(Secret::new(url))),
                None => ("DATABASE_URL", reader.url("DATABASE_URL")),
            };
            let database_url = database_url.unwrap_or_else(|| Secret::new("sqlite:tales.db"));
            if !Database::understands(database_url.expose()) {
                reader.refuse(
                    name,
                    "sqlite:FILE, or postgres://USER:PASSWORD@HOST/DATABASE",
                );
            }
            let log_level = reader.parse(
                "LOG_LEVEL",
                "off, error, warn, info, debug or trace",
                log_level,
            );
            let log_format = reader.parse("LOG_FORMAT", "text or json", |text| match text {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            });
            let admin_token = reader.secret("ADMIN_TOKEN");
            if admin_token
                .as_ref()
                .is_some_and(|token| token.expose().len() < TOKEN_BYTES)
            {
                reader.refuse("ADMIN_TOKEN", "at least 16 bytes");
            }
            Self {
                cache,
                database_url,
                log_level,
                log_format: log_format.unwrap_or(LogFormat::Text),
                admin_token,
            }
        })
    }

    /// How to open the database beside this cache: a transaction must end
    /// while the rows it writes are still kept out of the cache.
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
