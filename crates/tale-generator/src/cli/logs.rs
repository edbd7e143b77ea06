//! Logs, to standard error.

use std::io::{IsTerminal as _, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::{AppSettings, LogFormat};

/// Begins to log as the settings say. In a process that logs already nothing
/// changes. `with_a_bar` says that a progress bar is drawn where there is a
/// terminal, which lines of a log would tear up.
pub(super) fn begin(settings: &AppSettings, with_a_bar: bool) {
    let level = settings.log_level.unwrap_or_else(|| {
        if with_a_bar && stderr().is_terminal() {
            LevelFilter::WARN
        } else {
            LevelFilter::INFO
        }
    });
    // At DEBUG a query or a frame says less than the line of whoever sent it.
    let chatty = if level == LevelFilter::TRACE {
        level
    } else {
        level.min(LevelFilter::WARN)
    };
    let filter = format!("{level},sqlx={chatty},hyper={chatty},hyper_util={chatty}");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let _ = match settings.log_format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
}
