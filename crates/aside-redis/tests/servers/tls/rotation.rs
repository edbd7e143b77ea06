//! Sessions that resume, and files that change while connections are opened.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aside_redis::{Error, Handshakes, Tls, TlsClient, TlsFile, TlsProblem};
use aside_testkit::servers;
use aside_testkit::{Authority, Certificate, RedisServer, RedisTls};
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Files, at, ping, start, written};

#[tokio::test]
async fn connections_of_one_client_resume_their_session() {
    for server in servers::newest_with_tls() {
        let authority = Authority::new();
        let files = Files::of(&authority);
        let tls = RedisTls {
            client_certificates: true,
            ..RedisTls::new(&authority)
        };
        let redis = start(&server, tls);
        let address = at("127.0.0.1", redis.port());
        let tls = TlsClient::new(files.showing(&authority.issue(&[])));
        for _ in 0..5 {
            ping(&address, &tls).await.unwrap();
        }
        let handshakes = Handshakes {
            full: 1,
            resumed: 4,
        };
        assert_eq!(tls.handshakes(), handshakes, "{server}");
    }
}

#[tokio::test]
async fn a_rotated_server_certificate_is_checked_anew() {
    for server in servers::newest_with_tls() {
        let [old, new] = [Authority::new(), Authority::new()];
        let files = Files::of(&old);
        let redis = start(&server, RedisTls::new(&old));
        let address = at("localhost", redis.port());
        let tls = TlsClient::new(files.trusting());
        ping(&address, &tls).await.unwrap();

        // Trusted already, so nothing is noticed, but no old session is resumed.
        redis.set_certificate(&old.issue(&["localhost"]));
        ping(&address, &tls).await.unwrap();
        assert_eq!(tls.handshakes().full, 2, "{server}");

        redis.set_certificate(&new.issue(&["localhost"]));
        let refused = Error::Tls(TlsProblem::UnknownAuthority);
        assert_eq!(ping(&address, &tls).await, Err(refused), "{server}");
        files.write("ca.pem", &format!("{}{}", old.pem(), new.pem()));
        ping(&address, &tls).await.unwrap();
    }
}

#[tokio::test]
async fn a_broken_new_file_leaves_the_old_one_in_use() {
    let authority = Authority::new();
    let files = Files::of(&authority);
    let Some(server) = servers::newest_with_tls().pop() else {
        return;
    };
    let redis = start(&server, RedisTls::new(&authority));
    let address = at("127.0.0.1", redis.port());
    let tls = TlsClient::new(files.trusting());
    ping(&address, &tls).await.unwrap();
    assert_eq!(tls.problem().await, None);

    files.write("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    ping(&address, &tls).await.unwrap();
    let problem = tls.problem().await.expect("a problem");
    assert!(matches!(
        &problem,
        TlsProblem::File {
            file: TlsFile::Ca,
            ..
        }
    ));
    let path = files.path("ca.pem");
    assert!(problem.to_string().contains(&*path.to_string_lossy()));
    // It is still a client of the old authority, with the old sessions.
    assert_eq!(tls.handshakes().full, 1);

    fs::remove_file(&path).unwrap();
    ping(&address, &tls).await.unwrap();
    let problem = tls.problem().await.expect("a problem").to_string();
    assert!(problem.contains("cannot be read"), "{problem}");

    files.write("ca.pem", authority.pem());
    ping(&address, &tls).await.unwrap();
    assert_eq!(tls.problem().await, None);
    assert_eq!(tls.handshakes().full, 2);
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// A server that records the certificate of each client.
struct Recording {
    port: u16,
    shown: Arc<Mutex<Vec<CertificateDer<'static>>>>,
}

impl Recording {
    async fn in_front_of(redis: SocketAddr, authority: &Authority) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(der(authority.pem())).expect("an authority");
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let own = authority.issue(&["localhost"]);
        let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![der(&own.pem)], key)
            .expect("a certificate and its key");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&shown);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, record) = (acceptor.clone(), Arc::clone(&record));
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let chain = client.get_ref().1.peer_certificates().unwrap_or_default();
                    record
                        .lock()
                        .extend(chain.first().cloned().map(CertificateDer::into_owned));
                    let mut server = TcpStream::connect(redis).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { port, shown }
    }

    /// Returns the certificates that were shown since the last call.
    fn take(&self) -> Vec<CertificateDer<'static>> {
        std::mem::take(&mut *self.shown.lock())
    }
}

#[tokio::test]
async fn connections_opened_after_a_rotation_show_the_new_certificate() {
    let authority = Authority::new();
    let redis = RedisServer::start().expect("a server");
    let recording = Recording::in_front_of(redis.address(), &authority).await;
    let address = at("localhost", recording.port);
    let files = Files::of(&authority);
    // As an orchestrator mounts secrets: a link that is moved to another directory.
    let release = |number: u32, certificate: &Certificate| {
        let directory = files.path(&format!("release{number}"));
        fs::create_dir(&directory).unwrap();
        written(certificate, &directory);
        symlink(&directory, files.path("link")).unwrap();
        fs::rename(files.path("link"), files.path("current")).unwrap();
    };
    let certificates = [(); 4].map(|()| authority.issue(&[]));
    release(0, &certificates[0]);
    let tls = Arc::new(TlsClient::new(Tls {
        cert: Some(files.path("current/client.pem")),
        key: Some(files.path("current/client.key")),
        ..files.trusting()
    }));

    let is_over = Arc::new(AtomicBool::new(false));
    let load = [(); 4].map(|()| {
        let (tls, address) = (Arc::clone(&tls), address.clone());
        let is_over = Arc::clone(&is_over);
        tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                ping(&address, &tls).await.expect("a connection");
            }
        })
    });
    for (number, certificate) in (1..).zip(&certificates[1..]) {
        // Some connections of the load, so that there are sessions to resume.
        for _ in 0..10 {
            ping(&address, &tls).await.unwrap();
        }
        release(number, certificate);
        // Connections that began before the rotation may still end here.
        for _ in 0..10 {
            ping(&address, &tls).await.unwrap();
        }
        recording.take();
        for _ in 0..10 {
            ping(&address, &tls).await.unwrap();
        }
        let shown: HashSet<_> = recording.take().into_iter().collect();
        let new = HashSet::from([der(&certificate.pem)]);
        assert!(shown == new, "after rotation {number}");
    }
    is_over.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    let Handshakes { full, resumed } = tls.handshakes();
    assert!(full < resumed, "{full} full handshakes, {resumed} resumed");
}
