//! A Redis behind TLS, with certificates on both sides.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aside::{CacheConfig, CacheService, Secret};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::world::World;

/// A file that was made for these tests; the authority's private key was
/// deleted.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/tls")
        .join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).expect("a certificate")
}

/// Accepts TLS from clients with a certificate of the authority, for `server`.
/// Returns its port.
async fn in_front_of(server: SocketAddr) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca.pem")).expect("an authority");
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(vec![certificate("server.pem")], key)
        .expect("a certificate and its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut client = acceptor.accept(client).await?;
                let mut server = TcpStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    port
}

/// Returns true if a service with these settings reaches its Redis, and reads
/// the value that it wrote.
async fn gets_what_it_set(config: CacheConfig) -> bool {
    let cache = CacheService::connect(config).await;
    // More than one TLS record, and than one read of the socket.
    let value = "a dragon by the sea ".repeat(20_000).into_bytes();
    let set = cache.set("note", value.clone(), None).await;
    set && cache.get("note").await == Some(value)
}

#[tokio::test]
async fn a_redis_behind_tls_is_used_if_both_sides_are_trusted() {
    let world = World::new();
    let port = in_front_of(world.redis().address()).await;
    let trusting = CacheConfig {
        redis_url: Secret::new(format!("rediss://localhost:{port}")),
        redis_tls_ca: Some(file("ca.pem")),
        operation_timeout: Duration::from_secs(1),
        redis_tls_cert: Some(file("client.pem")),
        redis_tls_key: Some(file("client.key")),
        ..world.config()
    };
    assert!(gets_what_it_set(trusting.clone()).await);

    let by_another_name = format!("rediss://127.0.0.1:{port}");
    for refused in [
        CacheConfig {
            redis_tls_ca: None,
            ..trusting.clone()
        },
        CacheConfig {
            redis_tls_cert: None,
            redis_tls_key: None,
            ..trusting.clone()
        },
        CacheConfig {
            redis_url: Secret::new(by_another_name),
            ..trusting.clone()
        },
    ] {
        assert!(!gets_what_it_set(refused).await);
    }
}
