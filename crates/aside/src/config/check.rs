//! Validation of a configuration, read or literal.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use aside_redis::{Address, Tls};

use crate::config::limits::{self, Limit};
use crate::config::settings::{ConfigError, shown};
use crate::config::{CacheConfig, kind_in_a_name};
use crate::entity::key::is_plain_name;

pub(super) const CLUSTER: &str = "redis://, rediss://, unix:// or memory://. It names a Redis \
     Cluster, and this version does not speak to one yet: use one primary, or \
     REDIS_ENABLED=false to run without a cache";
impl CacheConfig {
    /// Checks every field against its limits, and fields against each other.
    ///
    /// Opens the files that TLS needs and touches nothing else. A configuration
    /// that was read is valid already.
    ///
    /// # Errors
    ///
    /// Every problem at once, under the variables' names.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        self.check_redis(&mut problems);
        self.check_tls(&mut problems);
        self.check_times(&mut problems);
        self.check_sizes(&mut problems);
        self.check_namespace(&mut problems);
        let (shares, allowed) = limits::AUDIT_SHARE;
        if !shares.contains(&self.audit_share) {
            problems.push(format!(
                "CACHE_AUDIT_SHARE is `{}`: {allowed}",
                self.audit_share
            ));
        }
        ConfigError::unless_none(problems)
    }

    fn check_redis(&self, problems: &mut Vec<String>) {
        match self.resolve() {
            Err(allowed) => problems.push(url_problem(&allowed)),
            Ok(target) => {
                // With the cache disabled, any address is accepted.
                match target.address {
                    Address::Cluster { .. } if self.redis_enabled => {
                        problems.push(url_problem(CLUSTER))
                    }
                    Address::Tcp { .. } => self.check_unencrypted(problems),
                    _ => {}
                }
                // AUTH sends the user only together with a password, so the
                // connection would silently use the default user.
                let has_password = target.password.is_some() || self.redis_password_file.is_some();
                if target.username.is_some() && !has_password {
                    problems.push(
                        "REDIS_USERNAME (or the user in REDIS_URL) is set without a password: set \
                         REDIS_PASSWORD or REDIS_PASSWORD_FILE as well"
                            .to_owned(),
                    );
                }
            }
        }
        let (password, file) = (&self.redis_password, &self.redis_password_file);
        check_password(
            problems,
            "REDIS_PASSWORD",
            password.is_some(),
            file.as_deref(),
        );
        self.check_sentinels(problems);
        if let Some(db) = self.redis_db {
            check(problems, "REDIS_DB", &limits::DB, db.into());
        }
        check(
            problems,
            "REDIS_MAX_CONNECTIONS",
            &limits::MAX_CONNECTIONS,
            self.redis_max_connections as u64,
        );
    }

    fn check_sentinels(&self, problems: &mut Vec<String>) {
        let has_password = self.redis_sentinel_password.is_some();
        let file = self.redis_sentinel_password_file.as_deref();
        if self.redis_sentinel_username.is_some() && !has_password && file.is_none() {
            problems.push(
                "REDIS_SENTINEL_USERNAME is set without a password: set REDIS_SENTINEL_PASSWORD \
                 or REDIS_SENTINEL_PASSWORD_FILE as well"
                    .to_owned(),
            );
        }
        check_password(problems, "REDIS_SENTINEL_PASSWORD", has_password, file);
    }

    /// Refuses settings that an unencrypted connection would not use.
    fn check_unencrypted(&self, problems: &mut Vec<String>) {
        for (name, is_set) in [
            ("REDIS_TLS_CA", self.redis_tls_ca.is_some()),
            (
                "REDIS_TLS_SERVER_NAME",
                self.redis_tls_server_name.is_some(),
            ),
        ] {
            if is_set {
                problems.push(format!(
                    "{name} is set, but REDIS_URL is not encrypted: a rediss:// address"
                ));
            }
        }
    }

    fn check_tls(&self, problems: &mut Vec<String>) {
        for (name, path) in [
            ("REDIS_TLS_CA", &self.redis_tls_ca),
            ("REDIS_TLS_CERT", &self.redis_tls_cert),
            ("REDIS_TLS_KEY", &self.redis_tls_key),
        ] {
            if let Some(path) = path {
                let holds = "a file in PEM that this process can read";
                check_file(problems, name, path, holds);
            }
        }
        if let Some(name) = &self.redis_tls_server_name
            && !Tls::is_possible_name(name)
        {
            problems.push(format!(
                "REDIS_TLS_SERVER_NAME is {}: a name or an IP address in the server's \
                 certificate, without a port",
                shown(name),
            ));
        }
        match (&self.redis_tls_cert, &self.redis_tls_key) {
            (Some(_), None) => problems
                .push("REDIS_TLS_CERT is set without REDIS_TLS_KEY: both or neither".to_owned()),
            (None, Some(_)) => problems
                .push("REDIS_TLS_KEY is set without REDIS_TLS_CERT: both or neither".to_owned()),
            _ => {}
        }
    }

    fn check_times(&self, problems: &mut Vec<String>) {
        let socket_timeout = self.redis_socket_timeout;
        if !limits::SOCKET_TIMEOUT.allows(whole_millis(socket_timeout)) {
            problems.push(format!(
                "REDIS_SOCKET_TIMEOUT is `{}`: {}",
                socket_timeout.as_secs_f64(),
                limits::SOCKET_TIMEOUT.allowed,
            ));
        }
        check(
            problems,
            "CACHE_DEFAULT_TTL",
            &limits::TTL,
            self.default_ttl.as_secs(),
        );
        for (kind, ttl) in &self.ttls {
            let name = format!("CACHE_{}_TTL", kind_in_a_name(kind));
            check(problems, &name, &limits::TTL, ttl.as_secs());
        }
        for (name, limit, value) in [
            (
                "CACHE_OPERATION_TIMEOUT_MS",
                &limits::OPERATION_TIMEOUT,
                self.operation_timeout,
            ),
            (
                "CACHE_MAX_STALENESS_MS",
                &limits::MAX_STALENESS,
                self.max_staleness,
            ),
            (
                "CACHE_QUARANTINE_TTL_MS",
                &limits::QUARANTINE_TTL,
                self.quarantine_ttl,
            ),
            ("CACHE_LEASE_TTL_MS", &limits::LEASE_TTL, self.lease_ttl),
            (
                "CACHE_LOAD_TIMEOUT_MS",
                &limits::LOAD_TIMEOUT,
                self.load_timeout,
            ),
            (
                "CACHE_JOURNAL_POLL_MS",
                &limits::JOURNAL_POLL,
                self.journal_poll,
            ),
        ] {
            check(problems, name, limit, whole_millis(value));
        }
        // A quarantine must not expire while its own request may still be in
        // flight.
        let both_allowed = limits::OPERATION_TIMEOUT.allows(whole_millis(self.operation_timeout))
            && limits::QUARANTINE_TTL.allows(whole_millis(self.quarantine_ttl));
        if both_allowed && self.quarantine_ttl <= self.operation_timeout {
            problems.push(format!(
                "CACHE_OPERATION_TIMEOUT_MS is `{}`: below CACHE_QUARANTINE_TTL_MS, which is `{}`",
                self.operation_timeout.as_millis(),
                self.quarantine_ttl.as_millis(),
            ));
        }
    }

    fn check_sizes(&self, problems: &mut Vec<String>) {
        for (name, limit, value) in [
            (
                "CACHE_SOURCE_CONCURRENCY",
                &limits::SOURCE_CONCURRENCY,
                self.source_concurrency,
            ),
            (
                "CACHE_MAX_VALUE_BYTES",
                &limits::MAX_VALUE_BYTES,
                self.max_value_bytes,
            ),
            (
                "CACHE_COMPRESS_ABOVE_BYTES",
                &limits::COMPRESS_ABOVE_BYTES,
                self.compress_above_bytes.unwrap_or(0),
            ),
            (
                "CACHE_L1_CAPACITY",
                &limits::L1_CAPACITY,
                self.l1_capacity_bytes,
            ),
        ] {
            check(problems, name, limit, value as u64);
        }
    }

    fn check_namespace(&self, problems: &mut Vec<String>) {
        let namespace = self.namespace.as_str();
        let well_formed = namespace.is_empty() || is_plain_name(namespace);
        // With an empty namespace, the library's own keys start with `aside:`.
        if !well_formed || namespace == "aside" {
            problems.push(format!(
                "CACHE_NAMESPACE is {}: letters a to z, digits, `_` and `-`, or empty, and not \
                 `aside`",
                shown(namespace),
            ));
        }
    }
}

pub(super) fn url_problem(allowed: &str) -> String {
    format!("REDIS_URL cannot be used (it is not shown): {allowed}")
}

fn check(problems: &mut Vec<String>, name: &str, limit: &Limit, value: u64) {
    if !limit.allows(value) {
        problems.push(format!("{name} is `{value}`: {}", limit.allowed));
    }
}

/// Checks a password that may come from a file, whose setting ends in `_FILE`.
fn check_password(problems: &mut Vec<String>, name: &str, is_set: bool, file: Option<&Path>) {
    let Some(path) = file else {
        return;
    };
    let in_file = format!("{name}_FILE");
    if is_set {
        problems.push(format!("{name} and {in_file} are both set: one of them"));
    }
    let holds = "a file with the password that this process can read";
    check_file(problems, &in_file, path, holds);
}

fn check_file(problems: &mut Vec<String>, name: &str, path: &Path, holds: &str) {
    let opened = File::open(path).and_then(|file| file.metadata());
    let reason = match opened {
        Ok(metadata) if metadata.is_dir() => "a directory".to_owned(),
        Ok(_) => return,
        Err(error) => error.to_string(),
    };
    problems.push(format!(
        "{name} is {}: {holds} ({reason})",
        shown(&path.to_string_lossy()),
    ));
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
