//! The promises of a server with TLS, on each server that was built with it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use aside_testkit::servers::{self, Server};
use aside_testkit::{Authority, Certificate, RedisOptions, RedisServer, RedisTls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const SOON: Duration = Duration::from_secs(10);

fn start(server: &Server, tls: RedisTls) -> RedisServer {
    let options = RedisOptions {
        tls: Some(tls),
        ..server.options()
    };
    RedisServer::start_with(options).unwrap_or_else(|error| panic!("{server}: {error}"))
}

/// Connects as a client that trusts an authority and expects a name. Returns the
/// reply to PING and the server's certificate.
fn ping(
    redis: &RedisServer,
    trusted: &Authority,
    name: &str,
    client: Option<&Certificate>,
) -> io::Result<Vec<u8>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(der(trusted.pem())).expect("an authority");
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(client) => {
            let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).expect("a key");
            let chain = vec![der(&client.pem)];
            config.with_client_auth_cert(chain, key).expect("a pair")
        }
    };
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let socket = TcpStream::connect(redis.address())?;
    socket.set_read_timeout(Some(SOON))?;
    let mut stream = StreamOwned::new(session, socket);
    stream.write_all(b"PING\r\n")?;
    let mut reply = [0; 7];
    stream.read_exact(&mut reply)?;
    assert_eq!(&reply, b"+PONG\r\n");
    let shown = stream.conn.peer_certificates().expect("a certificate");
    Ok(shown[0].to_vec())
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

#[test]
fn a_client_without_the_authority_refuses_the_server() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for server in servers::all_with_tls() {
        let redis = start(&server, RedisTls::new(&ours));
        let url = format!("rediss://{}/0", redis.address());
        assert_eq!(redis.url(), url);
        assert_eq!(redis.command(&["SET", "k", "v"]).text(), Some("OK"));
        ping(&redis, &ours, "127.0.0.1", None).unwrap();
        ping(&redis, &ours, "localhost", None).unwrap();
        let error = ping(&redis, &theirs, "127.0.0.1", None).unwrap_err();
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    }
}

#[test]
fn names_and_dates_of_certificates_are_as_issued() {
    let authority = Authority::new();
    let Some(server) = servers::all_with_tls().pop() else {
        return;
    };
    let redis = start(&server, RedisTls::new(&authority));
    let cases = [
        (
            authority.issue(&["localhost"]),
            "127.0.0.1",
            "not valid for name",
        ),
        (
            authority.issue(&["127.0.0.1"]),
            "localhost",
            "not valid for name",
        ),
        (
            authority.issue(&["elsewhere"]),
            "localhost",
            "not valid for name",
        ),
        (
            authority.issue_expired(&["localhost"]),
            "localhost",
            "expired",
        ),
    ];
    for (certificate, name, reason) in cases {
        redis.set_certificate(&certificate);
        let error = ping(&redis, &authority, name, None).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_client_without_the_demanded_certificate_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for server in servers::all_with_tls() {
        let tls = RedisTls {
            client_certificates: true,
            ..RedisTls::new(&ours)
        };
        let redis = start(&server, tls);
        let client = |authority: &Authority| authority.issue(&["client"]);
        ping(&redis, &ours, "localhost", Some(&client(&ours))).unwrap();
        assert!(ping(&redis, &ours, "localhost", None).is_err(), "{server}");
        let stranger = client(&theirs);
        assert!(ping(&redis, &ours, "localhost", Some(&stranger)).is_err());
    }
}

#[test]
fn a_new_certificate_is_shown_to_the_next_connection() {
    let authority = Authority::new();
    for server in servers::all_with_tls() {
        let redis = start(&server, RedisTls::new(&authority));
        let before = ping(&redis, &authority, "localhost", None).unwrap();
        let certificate = authority.issue(&["localhost"]);
        redis.set_certificate(&certificate);
        let shown = ping(&redis, &authority, "localhost", None).unwrap();
        assert_eq!(shown, der(&certificate.pem).to_vec(), "{server}");
        assert_ne!(shown, before, "{server}");
        redis.restart();
        assert_eq!(ping(&redis, &authority, "localhost", None).unwrap(), shown);
    }
}

#[test]
fn a_server_with_tls_takes_no_plain_connections() {
    let Some(server) = servers::all_with_tls().pop() else {
        return;
    };
    let redis = start(&server, RedisTls::new(&Authority::new()));
    let mut plain = TcpStream::connect(redis.address()).unwrap();
    plain.set_read_timeout(Some(SOON)).unwrap();
    plain.write_all(b"PING\r\n").unwrap();
    let mut reply = Vec::new();
    let _ = plain.read_to_end(&mut reply);
    assert!(!reply.starts_with(b"+PONG"), "{reply:?}");
}
