//! Named settings, wherever they were written down.
//!
//! Two of the rules follow from how people write such files. Empty means
//! unset, so `REDIS_PASSWORD=` in a template is no empty password. And a
//! comment may follow a value (`3600  # one hour`), because `docker run
//! --env-file` hands it over as part of the value.
//!
//! Everything wrong is reported at once: a service that is refused at start
//! should be refused once, not once per mistake.

mod files;
mod units;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

pub use self::reader::Reader;
pub(crate) use self::reader::shown;

/// Every problem of a configuration, one per line.
///
/// Each names its setting and says what is allowed; none holds a secret, nor
/// any part of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// `Ok` when there is nothing to complain about.
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

    /// The problems, in the order in which they were met; at least one.
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
/// A setting is looked for in the environment, then in `.env` in the working
/// directory, then in a TOML file; the first place that holds more than
/// nothing decides, and without one the reader's default stands. The file is
/// the one that `ASIDE_CONFIG` names, or `aside.toml` in the working directory
/// if there is one. It is flat, and its keys are the variables' names, in
/// upper or in lower case:
///
/// ```toml
/// redis_url = "redis://localhost:6379/0"
/// cache_hero_ttl = 3600
/// ```
///
/// A comment after a value is dropped if whitespace stands before its hash;
/// the `#` of a URL stays. Secrets are taken to the letter, whatever they
/// hold, except that `.env` has quotes and substitution: there, a password
/// with a `$`, a space or a hash stands in single quotes.
///
/// The library reads its own through [`CacheConfig`](crate::CacheConfig); an
/// application reads the rest through the same type, so that both follow the
/// same rules and complain together:
///
/// ```
/// use aside::{CacheConfig, ConfigError, Secret, Settings};
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
/// // A service calls `Settings::load()?`; a test says what is set.
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
    /// The places a setting is looked for in, the deciding one first.
    layers: Vec<Layer>,
}

/// One place's values by name; `None` is a value that is not UTF-8, which is
/// a problem only for whoever reads it.
type Layer = BTreeMap<String, Option<String>>;

impl Settings {
    /// Reads the environment of this process, `.env` and the settings file.
    ///
    /// The environment itself is left as it is.
    ///
    /// # Errors
    ///
    /// When `.env` or the settings file is there but cannot be read or does
    /// not parse, or `ASIDE_CONFIG` names a file that is not there. Values are
    /// not looked at yet.
    pub fn load() -> Result<Self, ConfigError> {
        Self::load_from(std::env::vars_os(), Path::new(""))
    }

    /// Settings that stand nowhere but here: nothing is read from the process
    /// or its working directory.
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

    /// Lets `read` take what it needs, and answers with what it made, or with
    /// everything that was wrong.
    ///
    /// A getter of [`Reader`] answers `None` for a setting that is unset and
    /// for one that is wrong; in the second case the result of `read` is
    /// dropped, so it may go on with a default.
    ///
    /// # Errors
    ///
    /// Every problem that `read` met, at once.
    pub fn read<T>(&self, read: impl FnOnce(&mut Reader<'_>) -> T) -> Result<T, ConfigError> {
        let mut reader = Reader::new(self);
        let value = read(&mut reader);
        ConfigError::unless_none(reader.into_problems())?;
        Ok(value)
    }

    /// The names that are written down anywhere, even if with nothing after
    /// them, each once.
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

        let mut reader = Reader::new(&settings);
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
    /// Names only: which of the values are secrets is known to their readers.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests;
