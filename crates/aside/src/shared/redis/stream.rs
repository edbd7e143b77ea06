//! The ways to a server: TCP, a unix socket, TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{Broken, Endpoint};
use crate::address::Address;

/// What a connection is made over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to the one server of an endpoint.
pub(super) async fn open(endpoint: &Endpoint) -> Result<Box<dyn Stream>, Broken> {
    match &endpoint.target.address {
        Address::Tcp { host, port } => {
            #[cfg(test)]
            if let Some(connecting) = crate::simulated::connect() {
                return Ok(Box::new(connecting.await?));
            }
            Ok(Box::new(over_tcp(host, *port).await?))
        }
        Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        Address::Tls { host, port } => {
            let connector = TlsConnector::from(Arc::new(tls(endpoint).await?));
            let name = ServerName::try_from(host.clone())
                .map_err(|_| Broken::because("not a name that a certificate could have"))?;
            let stream = over_tcp(host, *port).await?;
            Ok(Box::new(connector.connect(name, stream).await?))
        }
        Address::Cluster(_) | Address::Sentinel { .. } | Address::Memory(_) => {
            Err(Broken::because("not the address of a single server"))
        }
    }
}

async fn over_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whom to trust, and who to be.
async fn tls(endpoint: &Endpoint) -> Result<ClientConfig, Broken> {
    // Whoever installed a provider before us has chosen, and that is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    match &endpoint.tls_ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            for certificate in certificates(path).await? {
                roots.add(certificate).map_err(|_| unusable(path))?;
            }
        }
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&endpoint.tls_cert, &endpoint.tls_key) else {
        return Ok(config.with_no_client_auth());
    };
    let chain = certificates(certificate).await?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key).await?).map_err(|_| unusable(key))?;
    config
        .with_client_auth_cert(chain, secret)
        .map_err(|_| unusable(certificate))
}

async fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Broken> {
    let pem = read(path).await?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    all.map_err(|_| unusable(path))
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    tokio::fs::read(path).await
}

fn unusable(path: &Path) -> Broken {
    Broken::because(&format!("{} holds nothing usable", path.display()))
}
