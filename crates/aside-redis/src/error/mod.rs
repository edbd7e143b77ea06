//! Connection failures.

mod printable;
mod refusal;
mod tls;

use std::io;

pub use self::printable::printable;
pub use self::refusal::Refusal;
pub use self::tls::{TlsFile, TlsProblem};

/// The connection could not be opened, or it is lost.
///
/// The texts hold no secret and no control character. They report the server's
/// reply. The advice on it is the caller's, because the settings are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no stream to the server, for this reason.
    #[error("{0}")]
    NotConnected(String),

    /// There is no TLS connection to the server.
    #[error(transparent)]
    Tls(#[from] TlsProblem),

    /// The server replied in TLS on a connection without it.
    #[error("the port speaks TLS, and the connection does not")]
    SpeaksTls,

    /// The connection was lost. Calls without a reply may have been executed.
    #[error("the connection was lost")]
    Lost,

    /// The server replied with this error and closed the connection.
    #[error("the server answered {0} and hung up")]
    HungUp(Refusal),

    /// The connection was closed before HELLO was answered.
    #[error("the connection was closed in answer to HELLO 3")]
    NotGreeted,

    /// The server refused a command that the connection needs.
    #[error("the server answered {refusal} to {command}")]
    Refused {
        /// The command's name.
        command: &'static str,
        /// The server's error.
        refusal: Refusal,
    },

    /// The server's reply lacks a field, or has an impossible one.
    #[error("the server's reply to {command} has no usable {field}")]
    Unexpected {
        /// The command's name.
        command: &'static str,
        /// The field's name.
        field: &'static str,
    },

    /// The server refused to select the database.
    #[error("the server answered {refusal} to SELECT")]
    NotSelected {
        /// The server's error.
        refusal: Refusal,
        /// The server's mode: a cluster has no database but 0.
        mode: String,
    },
}

impl Error {
    pub(crate) fn not_connected(reason: &str) -> Self {
        Self::NotConnected(printable(reason))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::not_connected(&error.to_string())
    }
}
