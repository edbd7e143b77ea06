//! TLS from the client's side: one configuration for all connections of a service.
//!
//! The files are read again when they change, so certificates can be rotated while
//! the service runs. Until then connections share one configuration, and with it the
//! sessions: a server resumes them without a signature, which is most of the cost of
//! a handshake. A new configuration begins without sessions, because a session of the
//! old one proves nothing about the new certificates.

mod files;
#[cfg(feature = "tls")]
mod with_rustls;
#[cfg(not(feature = "tls"))]
mod without;

pub use self::files::Tls;
#[cfg(feature = "tls")]
pub use self::with_rustls::TlsClient;
#[cfg(feature = "tls")]
pub(crate) use self::with_rustls::of_stream;
#[cfg(not(feature = "tls"))]
pub use self::without::TlsClient;
#[cfg(not(feature = "tls"))]
pub(crate) use self::without::of_stream;

/// How many handshakes succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshakes {
    /// Handshakes that began a session.
    pub full: u64,
    /// Handshakes that resumed one.
    pub resumed: u64,
}
