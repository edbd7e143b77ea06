//! Reasons why a command failed.

use std::error::Error;

use aside::settings::ConfigError;

/// The reason why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Settings that cannot work: one line each, exit code 2.
    Settings(ConfigError),
    /// One line with its causes, exit code 1.
    Told(String),
    /// It was reported already; exit code 1.
    Said,
}

impl Failure {
    /// Describes the failed operation and its causes in one line.
    pub(super) fn new(what: &str, cause: impl Error) -> Self {
        let mut line = format!("{what}: {cause}");
        let mut next = cause.source();
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            // Many errors repeat their cause in their own text.
            if !line.ends_with(&cause_text) {
                line.push_str(": ");
                line.push_str(&cause_text);
            }
            next = cause.source();
        }
        Self::Told(line.replace('\n', " "))
    }
}
