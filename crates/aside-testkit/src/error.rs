//! The reasons why a server could not be started.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// How many bytes of a server's log are shown.
const LOG_BYTES: usize = 4096;

/// The reason why a server could not be started.
///
/// Its `Debug` form is its message, so that `unwrap` in a test shows which
/// package to install, or the server's own error text.
#[non_exhaustive]
pub enum StartError {
    /// None of the programs that could be started is installed on this machine.
    Missing {
        /// The programs that were looked for, for example `redis-server`.
        programs: &'static [&'static str],
        /// How to install one.
        install: &'static str,
    },
    /// The program started and exited, or never became ready.
    Failed {
        /// The name of the server.
        server: &'static str,
        /// The failure.
        reason: String,
        /// The end of the server's output.
        log: String,
    },
    /// The operating system refused a process, a directory or a port.
    Io(io::Error),
}

impl StartError {
    /// Returns a failure, with the end of the server's output in `log`.
    pub(crate) fn failed(server: &'static str, reason: String, log: &Path) -> Self {
        let log = fs::read(log).unwrap_or_default();
        let start = log.len().saturating_sub(LOG_BYTES);
        let log = String::from_utf8_lossy(&log[start..]).trim().into();
        Self::Failed {
            server,
            reason,
            log,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { programs, install } => {
                write!(f, "cannot find {}; {install}", programs.join(" or "))
            }
            Self::Failed {
                server,
                reason,
                log,
            } if log.is_empty() => {
                write!(f, "{server} did not start: {reason}")
            }
            Self::Failed {
                server,
                reason,
                log,
            } => {
                write!(f, "{server} did not start: {reason}; it printed:\n{log}")
            }
            Self::Io(error) => write!(f, "cannot prepare the server: {error}"),
        }
    }
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Missing { .. } | Self::Failed { .. } => None,
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
