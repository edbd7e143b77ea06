//! Named settings from the environment and files.
//!
//! Two rules follow from how such files are written. Empty means unset, so
//! `REDIS_PASSWORD=` in a template is not an empty password. A comment may
//! follow a value (`3600  # one hour`), because `docker run --env-file` passes
//! it on as part of the value.
//!
//! All problems are reported at once, so an operator fixes them in one go.

mod files;
pub(super) mod units;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

pub use self::reader::SettingsReader;
pub(crate) use self::reader::{FLAG, shown, wrong};

/// All problems of a configuration, one per line.
///
/// Each names its setting and the allowed values. None contains a secret or any
/// part of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// Returns `Ok` if there are no problems.
    pub(crate) fn unless_none(problems: Vec<String>) -> Result<(), Self> {
        let mut seen = BTreeSet::new();
        let problems: Vec<String> = problems
            .into_iter()
            .filter(|problem| seen.insert(problem.clone()))
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self { problems })
        }
    }

    pub(crate) fn one(problem: String) -> Self {
        Self {
            problems: vec![problem],
        }
    }

    /// Returns the problems in the order they were found; at least one.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Named settings: environment over `.env` over a file.
///
/// A setting is looked up in the environment, then in `.env` in the working
/// directory, then in a TOML file. The first non-empty value wins; without one
/// the reader's default applies. The file is the one that `ASIDE_CONFIG` names,
/// or `aside.toml` in the working directory if it exists. It is flat, and its
/// keys are the variables' names, in upper or lower case:
///
/// ```toml
/// redis_url = "redis://localhost:6379/0"
/// cache_hero_ttl = 3600
/// ```
///
/// A comment after a value is dropped if whitespace precedes its hash; the `#`
/// of a URL stays. Secrets are taken verbatim, with one exception: `.env` has
/// quotes and substitution, so quote a password with a `$`, a space or a hash
/// there with single quotes.
///
/// [`CacheConfig`](crate::CacheConfig) reads the library's settings. An
/// application reads its own through the same type, so that both follow the
/// same rules and report problems together:
///
/// ```
/// use aside::{CacheConfig, Secret, settings::{ConfigError, Settings}};
///
/// #[derive(Debug)]
/// struct Config {
///     cache: CacheConfig,
///     database_url: Secret,
///     json_logs: bool,
///     admin_token: Option<Secret>,
/// }
///
/// fn configure(settings: &Settings) -> Result<Config, ConfigError> {
///     settings.read(|reader| {
///         let admin_token = reader.secret("ADMIN_TOKEN");
///         if admin_token.as_ref().is_some_and(|token| token.expose().len() < 16) {
///             reader.refuse("ADMIN_TOKEN", "at least 16 bytes");
///         }
///         Config {
///             cache: CacheConfig::read(reader),
///             database_url: reader
///                 .url("DATABASE_URL")
///                 .unwrap_or_else(|| Secret::new("sqlite:tales.db")),
///             json_logs: reader
///                 .parse("LOG_FORMAT", "text or json", |text| match text {
///                     "text" => Some(false),
///                     "json" => Some(true),
///                     _ => None,
///                 })
///                 .unwrap_or(false),
///             admin_token,
///         }
///     })
/// }
///
/// // A service calls `Settings::load()?`; a test passes the values.
/// let config = configure(&Settings::from_pairs([("LOG_FORMAT", "json")]))?;
/// assert!(config.json_logs);
///
/// let wrong = Settings::from_pairs([("LOG_FORMAT", "xml"), ("ADMIN_TOKEN", "short")]);
/// assert_eq!(
///     configure(&wrong).unwrap_err().to_string(),
///     "ADMIN_TOKEN is refused: at least 16 bytes\n\
///      LOG_FORMAT is `xml`: text or json",
/// );
/// # Ok::<(), ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Settings {
    /// The places to look a setting up in, by precedence.
    layers: Vec<Layer>,
}

/// The values of one place by name; `None` is a value that is not UTF-8, which
/// is a problem only if it is read.
type Layer = BTreeMap<String, Option<String>>;

impl Settings {
    /// Reads the environment of this process, `.env` and the settings file.
    ///
    /// Does not change the environment.
    ///
    /// # Errors
    ///
    /// If `.env` or the settings file exists but cannot be read or parsed, or
    /// if `ASIDE_CONFIG` names a missing file. Values are not checked yet.
    pub fn load() -> Result<Self, ConfigError> {
        Self::load_from(std::env::vars_os(), Path::new(""))
    }

    /// Creates settings from pairs alone: the process's environment and working
    /// directory are not read.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let layer = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), Some(value.into())))
            .collect();
        Self {
            layers: vec![layer],
        }
    }

    /// Calls `read` and returns its result, or all problems if there are any.
    ///
    /// A getter of [`SettingsReader`] returns `None` for a setting that is unset or
    /// wrong. If one is wrong, the result of `read` is dropped, so `read` may
    /// continue with a default.
    ///
    /// # Errors
    ///
    /// All problems that `read` found.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&mut SettingsReader<'_>) -> T,
    ) -> Result<T, ConfigError> {
        let mut reader = SettingsReader::new(self);
        let value = read(&mut reader);
        ConfigError::unless_none(reader.into_problems())?;
        Ok(value)
    }

    /// Returns the names that appear anywhere, even with an empty value, each
    /// once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layers
            .iter()
            .flat_map(|layer| layer.keys().map(String::as_str))
            .collect::<BTreeSet<_>>()
            .into_iter()
    }

    fn load_from(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        let environment: Layer = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())))
            .collect();
        let mut problems = Vec::new();
        let dotenv = files::dotenv(&directory.join(".env"), &mut problems);
        let mut settings = Self {
            layers: vec![environment, dotenv],
        };

        let mut reader = SettingsReader::new(&settings);
        let named = reader.text("ASIDE_CONFIG");
        problems.extend(reader.into_problems());
        let file = match named {
            Some(path) => files::toml(&directory.join(path), true, &mut problems),
            None => files::toml(&directory.join("aside.toml"), false, &mut problems),
        };
        settings.layers.push(file);

        ConfigError::unless_none(problems)?;
        Ok(settings)
    }
}

impl fmt::Debug for Settings {
    /// Prints names only: only their readers know which values are secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests;
