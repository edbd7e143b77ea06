//! TLS in a program that was built without the feature `tls`: none.

use std::io;

use super::Handshakes;
use super::files::Tls;
use crate::error::TlsProblem;

/// The TLS of all connections of a service, which was built without it.
#[derive(Debug)]
pub struct TlsClient(());

impl TlsClient {
    /// Makes a client that opens no connection.
    #[must_use]
    pub fn new(_: Tls) -> Self {
        Self(())
    }

    /// Returns `None`: no files are read.
    pub async fn problem(&self) -> Option<TlsProblem> {
        None
    }

    /// Returns how many handshakes succeeded: none.
    #[must_use]
    pub fn handshakes(&self) -> Handshakes {
        Handshakes {
            full: 0,
            resumed: 0,
        }
    }
}

/// Returns the failure of TLS in an error of a stream: there is none.
pub(crate) fn of_stream(_: &io::Error) -> Option<TlsProblem> {
    None
}
