//! Opens the stream to a server: over TCP, a unix socket, or TLS.

mod tcp;

use std::io;

use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::address::Address;
use crate::error::Error;
use crate::pipeline::Stream;
use crate::tls::TlsClient;

/// Opens a stream to the one server of an address, and waits for it until then.
///
/// `announced` is the name of the server if it is not the host of the address, as
/// behind a [`NodeMap`](crate::NodeMap): over TLS, its certificate must be for it.
///
/// # Errors
///
/// The server cannot be reached, TLS fails, or the address names no single server.
#[cfg_attr(not(feature = "tls"), expect(unused_variables))]
pub async fn open(
    address: &Address,
    announced: Option<&str>,
    tls: &TlsClient,
    until: Instant,
) -> Result<Box<dyn Stream>, Error> {
    match address {
        Address::Tcp { host, port } => {
            Ok(Box::new(within(until, tcp::over_tcp(host, *port)).await?))
        }
        Address::Unix(path) => Ok(Box::new(within(until, UnixStream::connect(path)).await?)),
        #[cfg(not(feature = "tls"))]
        Address::Tls { .. } => Err(crate::error::TlsProblem::NotBuilt.into()),
        #[cfg(feature = "tls")]
        Address::Tls { host, port } => {
            // Before the server is reached: problems with files have another cause.
            let preparing = tls.prepare(announced.unwrap_or(host));
            let handshake = tokio::time::timeout_at(until, preparing)
                .await
                .map_err(|_| Error::not_connected("no files of TLS within the timeout"))??;
            let stream = within(until, tcp::over_tcp(host, *port)).await?;
            Ok(Box::new(handshake.perform(stream, until).await?))
        }
        Address::Cluster { .. } | Address::Sentinel { .. } | Address::Memory(_) => {
            Err(Error::not_connected("not the address of a single server"))
        }
    }
}

async fn within<S>(
    until: Instant,
    opening: impl Future<Output = io::Result<S>>,
) -> Result<S, Error> {
    match tokio::time::timeout_at(until, opening).await {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(Error::not_connected("no connection within the timeout")),
    }
}
