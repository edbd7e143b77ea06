//! The server that a configuration names.

use crate::config::CacheConfig;
use crate::config::address::{Address, Target};
use crate::config::check::{CLUSTER, SENTINEL, url_problem};
use crate::config::credentials::{Authentication, Credentials};
use crate::config::secret::Secret;
use crate::config::settings::ConfigError;

impl CacheConfig {
    /// Returns the address and user to connect with, overrides applied.
    ///
    /// # Errors
    ///
    /// If the address cannot be parsed, or this version does not support such a
    /// server; [`CacheConfig::validate`] reports the same.
    pub(crate) fn target(&self) -> Result<Target, ConfigError> {
        let resolved = self.resolve().and_then(|target| match target.address {
            Address::Cluster(_) => Err(CLUSTER),
            Address::Sentinel { .. } => Err(SENTINEL),
            _ => Ok(target),
        });
        match resolved {
            Ok(target) => Ok(target),
            Err(allowed) => Err(ConfigError::one(url_problem(allowed))),
        }
    }

    /// Returns how connections to `target` authenticate.
    pub(crate) fn authentication(&self, target: &Target) -> Authentication {
        let username = target.username.clone();
        match (&self.redis_password_file, &target.password) {
            (Some(path), _) => Authentication::File {
                username,
                path: path.clone(),
            },
            (None, password) => Authentication::Fixed(
                password
                    .clone()
                    .map(|password| Credentials { username, password }),
            ),
        }
    }

    pub(super) fn resolve(&self) -> Result<Target, &'static str> {
        let mut target = Target::parse(self.redis_url.expose())?;
        if let Some(username) = &self.redis_username {
            target.username = Some(Secret::new(username));
        }
        if let Some(password) = &self.redis_password {
            target.password = Some(password.clone());
        }
        target.db = self.redis_db.or(target.db);
        Ok(target)
    }
}
