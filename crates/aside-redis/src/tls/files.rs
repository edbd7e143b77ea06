//! The settings of TLS connections.

use std::path::PathBuf;

/// The files of a TLS connection, in PEM, and the name to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that may sign a server's certificate; `None` for the public
    /// ones.
    pub ca: Option<PathBuf>,
    /// The certificate that the client shows.
    pub cert: Option<PathBuf>,
    /// The private key of that certificate.
    pub key: Option<PathBuf>,
    /// The name that every server's certificate must be for; `None` for the host that
    /// is connected to.
    pub server_name: Option<String>,
}
