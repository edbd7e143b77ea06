//! Validation of a configuration, read or literal.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use aside_redis::Address;
#[cfg(feature = "tls")]
use aside_redis::Tls;

use crate::config::CacheConfig;
use crate::config::setting::{self, Setting, kind_ttl_name};
use crate::config::settings::{ConfigError, shown, wrong};
use crate::entity::key::is_plain_name;

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
        self.check_features(&mut problems);
        self.check_tls(&mut problems);
        self.check_times(&mut problems);
        self.check_sizes(&mut problems);
        self.check_namespace(&mut problems);
        for (setting, value) in [
            (&setting::AUDIT_SHARE, self.audit_share),
            (&setting::PREFETCH_WASTE, self.prefetch_waste),
        ] {
            check_fraction(&mut problems, setting, value);
        }
        let deadline = self.warm_up_deadline.as_secs_f64();
        check_fraction(&mut problems, &setting::WARM_UP_DEADLINE, deadline);
        let heartbeat = whole_millis(self.heartbeat);
        check(&mut problems, &setting::HEARTBEAT, heartbeat);
        self.check_instance_name(&mut problems);
        ConfigError::unless_none(problems)
    }

    fn check_redis(&self, problems: &mut Vec<String>) {
        match self.resolve() {
            Err(allowed) => problems.push(url_problem(&allowed)),
            Ok(target) => {
                // With the cache disabled, any address is accepted.
                match target.address {
                    Address::Cluster { tls, .. } => {
                        if target.db.is_some_and(|db| db != 0) {
                            problems.push(ONE_DATABASE.to_owned());
                        }
                        if !tls {
                            self.check_unencrypted(problems);
                        }
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
        check_password(
            problems,
            [&setting::PASSWORD, &setting::PASSWORD_FILE],
            self.redis_password.is_some(),
            self.redis_password_file.as_deref(),
        );
        self.check_sentinels(problems);
        if let Some(db) = self.redis_db {
            check(problems, &setting::DB, db.into());
        }
        let connections = self.redis_max_connections as u64;
        check(problems, &setting::MAX_CONNECTIONS, connections);
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
        check_password(
            problems,
            [
                &setting::SENTINEL_PASSWORD,
                &setting::SENTINEL_PASSWORD_FILE,
            ],
            has_password,
            file,
        );
    }

    /// Refuses settings that an unencrypted connection would not use.
    fn check_unencrypted(&self, problems: &mut Vec<String>) {
        let has_name = self.redis_tls_server_name.is_some();
        for (setting, is_set) in [
            (&setting::TLS_CA, self.redis_tls_ca.is_some()),
            (&setting::TLS_SERVER_NAME, has_name),
        ] {
            if is_set {
                problems.push(format!(
                    "{} is set, but REDIS_URL is not encrypted: a rediss:// address",
                    setting.name
                ));
            }
        }
    }

    fn check_tls(&self, problems: &mut Vec<String>) {
        for (setting, path) in [
            (&setting::TLS_CA, &self.redis_tls_ca),
            (&setting::TLS_CERT, &self.redis_tls_cert),
            (&setting::TLS_KEY, &self.redis_tls_key),
        ] {
            if let Some(path) = path {
                check_file(problems, setting, path);
            }
        }
        #[cfg(feature = "tls")]
        if let Some(name) = &self.redis_tls_server_name
            && !Tls::is_possible_name(name)
        {
            problems.push(setting::TLS_SERVER_NAME.wrong(&shown(name)));
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
        let socket_timeout = self.redis_socket_timeout.as_secs_f64();
        check_fraction(problems, &setting::SOCKET_TIMEOUT, socket_timeout);
        check(problems, &setting::DEFAULT_TTL, self.default_ttl.as_secs());
        for (kind, ttl) in &self.ttls {
            let name = kind_ttl_name(kind);
            check_named(problems, &name, &setting::KIND_TTL, ttl.as_secs());
        }
        for (setting, value) in [
            (&setting::OPERATION_TIMEOUT, self.operation_timeout),
            (&setting::MAX_STALENESS, self.max_staleness),
            (&setting::QUARANTINE_TTL, self.quarantine_ttl),
            (&setting::LEASE_TTL, self.lease_ttl),
            (&setting::LOAD_TIMEOUT, self.load_timeout),
            (&setting::JOURNAL_POLL, self.journal_poll),
        ] {
            check(problems, setting, whole_millis(value));
        }
        // A quarantine must not expire while its own request may still be in
        // flight.
        let both_allowed = setting::OPERATION_TIMEOUT.allows(whole_millis(self.operation_timeout))
            && setting::QUARANTINE_TTL.allows(whole_millis(self.quarantine_ttl));
        if both_allowed && self.quarantine_ttl <= self.operation_timeout {
            problems.push(format!(
                "CACHE_OPERATION_TIMEOUT_MS is `{}`: below CACHE_QUARANTINE_TTL_MS, which is `{}`",
                self.operation_timeout.as_millis(),
                self.quarantine_ttl.as_millis(),
            ));
        }
    }

    fn check_sizes(&self, problems: &mut Vec<String>) {
        let compress_above_bytes = self.compress_above_bytes.unwrap_or(0);
        for (setting, value) in [
            (&setting::SOURCE_CONCURRENCY, self.source_concurrency),
            (&setting::MAX_VALUE_BYTES, self.max_value_bytes),
            (&setting::COMPRESS_ABOVE_BYTES, compress_above_bytes),
            (&setting::L1_CAPACITY, self.l1_capacity_bytes),
            (&setting::PREFETCH_ROWS, self.prefetch_rows),
            (&setting::PREFETCH_MEMORY, self.prefetch_memory_bytes),
            (&setting::ANALYTICS_KEYS, self.analytics_keys),
        ] {
            check(problems, setting, value as u64);
        }
    }

    fn check_instance_name(&self, problems: &mut Vec<String>) {
        let name = self.instance_name.as_deref().unwrap_or("default");
        let is_printable = !name.chars().any(char::is_control);
        let length = name.chars().count();
        if !is_printable || !(1..=MAX_NAME_CHARACTERS).contains(&length) {
            problems.push(setting::INSTANCE_NAME.wrong(&shown(name)));
        }
    }

    fn check_namespace(&self, problems: &mut Vec<String>) {
        let namespace = self.namespace.as_str();
        let well_formed = namespace.is_empty() || is_plain_name(namespace);
        // With an empty namespace, the library's own keys start with `aside:`.
        if !well_formed || namespace == "aside" {
            problems.push(setting::NAMESPACE.wrong(&shown(namespace)));
        }
    }
}

pub(super) fn url_problem(allowed: &str) -> String {
    let name = setting::URL.name;
    format!("{name} cannot be used (it is not shown): {allowed}")
}

/// The longest name of an instance.
const MAX_NAME_CHARACTERS: usize = 64;

const ONE_DATABASE: &str = "REDIS_DB must be 0 or unset: a Redis Cluster has one database";

/// Returns the allowed forms of an address that names a Redis Cluster.
pub(super) fn cluster_forms() -> String {
    format!("{}. It seems to name a Redis Cluster", setting::URL.allowed)
}

fn check(problems: &mut Vec<String>, setting: &Setting, value: u64) {
    check_named(problems, setting.name, setting, value);
}

/// Checks a setting that has another name than `setting`.
fn check_named(problems: &mut Vec<String>, name: &str, setting: &Setting, value: u64) {
    if !setting.allows(value) {
        problems.push(wrong(name, &format!("`{value}`"), setting.allowed));
    }
}

fn check_fraction(problems: &mut Vec<String>, setting: &Setting, value: f64) {
    if !setting.allows_fraction(value) {
        problems.push(setting.wrong(&format!("`{value}`")));
    }
}

/// Checks a password that may come from a file: the settings of both.
fn check_password(
    problems: &mut Vec<String>,
    [password, in_file]: [&Setting; 2],
    is_set: bool,
    file: Option<&Path>,
) {
    let Some(path) = file else {
        return;
    };
    if is_set {
        let (password, in_file) = (password.name, in_file.name);
        problems.push(format!(
            "{password} and {in_file} are both set: one of them"
        ));
    }
    check_file(problems, in_file, path);
}

fn check_file(problems: &mut Vec<String>, setting: &Setting, path: &Path) {
    let opened = File::open(path).and_then(|file| file.metadata());
    let reason = match opened {
        Ok(metadata) if metadata.is_dir() => "a directory".to_owned(),
        Ok(_) => return,
        Err(error) => error.to_string(),
    };
    let wrong = setting.wrong(&shown(&path.to_string_lossy()));
    problems.push(format!("{wrong} ({reason})"));
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
