//! The server that a configuration names.

use std::path::Path;

use aside_redis::{Secret, Target, Tls, UrlError};

use crate::config::CacheConfig;
use crate::config::check::{cluster_forms, url_problem};
use crate::config::credentials::{Authentication, Credentials};
use crate::config::setting;
use crate::config::settings::ConfigError;

impl CacheConfig {
    /// Returns the address and user to connect with, overrides applied.
    ///
    /// # Errors
    ///
    /// If the address cannot be parsed, or this version does not support such a
    /// server; [`CacheConfig::validate`] reports the same.
    pub(crate) fn target(&self) -> Result<Target, ConfigError> {
        match self.resolve() {
            Ok(target) => Ok(target),
            Err(allowed) => Err(ConfigError::one(url_problem(&allowed))),
        }
    }

    /// Returns how connections to `target` authenticate.
    pub(crate) fn authentication(&self, target: &Target) -> Authentication {
        authentication(
            target.username.clone(),
            target.password.as_ref(),
            self.redis_password_file.as_deref(),
            setting::PASSWORD_FILE.name,
        )
    }

    /// Returns how connections to Sentinels authenticate.
    pub(crate) fn sentinel_authentication(&self) -> Authentication {
        authentication(
            self.redis_sentinel_username.as_deref().map(Secret::new),
            self.redis_sentinel_password.as_ref(),
            self.redis_sentinel_password_file.as_deref(),
            setting::SENTINEL_PASSWORD_FILE.name,
        )
    }

    /// Returns the files of TLS connections.
    pub(crate) fn tls(&self) -> Tls {
        Tls {
            ca: self.redis_tls_ca.clone(),
            cert: self.redis_tls_cert.clone(),
            key: self.redis_tls_key.clone(),
            server_name: self.redis_tls_server_name.clone(),
        }
    }

    pub(super) fn resolve(&self) -> Result<Target, String> {
        let mut target = Target::parse(self.redis_url.expose()).map_err(allowed)?;
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

/// A file overrides the password. `setting` names the file.
fn authentication(
    username: Option<Secret>,
    password: Option<&Secret>,
    file: Option<&Path>,
    setting: &'static str,
) -> Authentication {
    match (file, password.cloned()) {
        (Some(path), _) => Authentication::File {
            username,
            path: path.to_owned(),
            setting,
        },
        (None, password) => {
            Authentication::Fixed(password.map(|password| Credentials { username, password }))
        }
    }
}

/// Returns the allowed form of a URL, and the settings to use instead.
fn allowed(problem: UrlError) -> String {
    match problem {
        UrlError::Form => setting::URL.allowed.to_owned(),
        UrlError::Cluster => cluster_forms(),
        UrlError::Query => format!(
            "{problem}: such options are separate settings (REDIS_SOCKET_TIMEOUT, \
             REDIS_TLS_CA, ...)"
        ),
        UrlError::Fragment => {
            format!("{problem}; a private authority is trusted with REDIS_TLS_CA")
        }
        problem => problem.to_string(),
    }
}
