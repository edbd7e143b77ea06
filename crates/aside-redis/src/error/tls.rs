//! Failures of TLS, by what an operator can do about them.

use std::fmt;
use std::path::PathBuf;

/// A reason why there is no TLS connection.
///
/// The texts hold no secret and no control character. They name no settings, because
/// these are the caller's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsProblem {
    /// A file cannot be used.
    #[error("the file with the {file} ({}) {reason}", path.display())]
    File {
        /// Its purpose.
        file: TlsFile,
        /// Where it is.
        path: PathBuf,
        /// The fault.
        reason: String,
    },

    /// No certificate can have such a name.
    #[error("`{0}` is no name that a certificate could have")]
    ImpossibleName(String),

    /// The server did not answer the handshake in time.
    #[error("the server did not answer the TLS handshake in time")]
    NoReply,

    /// The server answered the handshake in another protocol.
    #[error("the port does not speak TLS")]
    NotTls,

    /// The connection was closed during the handshake.
    #[error("the connection was closed during the TLS handshake")]
    Closed,

    /// The server's certificate is for other names.
    #[error("the server's certificate is for {presented}, and not for `{expected}`")]
    OtherName {
        /// The name that was checked.
        expected: String,
        /// The names in the certificate.
        presented: String,
    },

    /// The server's certificate has expired.
    #[error("the server's certificate has expired")]
    Expired,

    /// The server's certificate is not valid yet.
    #[error("the server's certificate is not valid yet")]
    NotValidYet,

    /// None of the trusted authorities has signed the server's certificate.
    #[error("the server's certificate was signed by an authority that is not trusted")]
    UnknownAuthority,

    /// The server requires a certificate of the client.
    #[error("the server requires a client certificate")]
    NoClientCertificate,

    /// The server does not accept the client's certificate.
    #[error("the server refused the client certificate ({0})")]
    ClientCertificate(String),

    /// This program was built without TLS.
    #[error("this program was built without TLS: the feature `tls` is off")]
    NotBuilt,

    /// Another failure.
    #[error("TLS failed: {0}")]
    Other(String),
}

/// The files of a TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFile {
    /// The certificates of the trusted authorities.
    Ca,
    /// The client's certificate.
    Certificate,
    /// The key of the client's certificate.
    Key,
}

impl fmt::Display for TlsFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ca => "certificate authority",
            Self::Certificate => "client certificate",
            Self::Key => "client key",
        })
    }
}
