//! Each failure of TLS is told apart from the others.

use std::net::Ipv4Addr;
use std::time::Duration;

use aside_redis::{Address, Error, Tls, TlsClient, TlsFile, TlsProblem};
use aside_testkit::servers;
use aside_testkit::{Authority, RedisServer, RedisTls};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{Files, at, ping, start};
use crate::client::Client;

/// Long enough for a handshake.
const BRIEFLY: Duration = Duration::from_millis(500);

/// Returns why a connection cannot be opened.
async fn problem(address: &Address, tls: Tls) -> TlsProblem {
    match ping(address, &TlsClient::new(tls)).await {
        Err(Error::Tls(problem)) => problem,
        other => panic!("no problem of TLS: {other:?}"),
    }
}

fn other_name(expected: &str, presented: &str) -> TlsProblem {
    TlsProblem::OtherName {
        expected: expected.to_owned(),
        presented: presented.to_owned(),
    }
}

#[tokio::test]
async fn a_certificate_must_be_for_the_host_or_the_name_that_is_set() {
    for server in servers::newest_with_tls() {
        let authority = Authority::new();
        let files = Files::of(&authority);
        let with =
            |names: &[&str]| start(&server, RedisTls::with(&authority, authority.issue(names)));
        let named = |name: &str| Tls {
            server_name: Some(name.to_owned()),
            ..files.trusting()
        };

        let redis = with(&["localhost", "cache.internal"]);
        let by_name = at("localhost", redis.port());
        let by_address = at("127.0.0.1", redis.port());
        ping(&by_name, &TlsClient::new(files.trusting()))
            .await
            .unwrap();
        assert_eq!(
            problem(&by_address, files.trusting()).await,
            other_name("127.0.0.1", "`localhost`, `cache.internal`"),
        );
        let tls = TlsClient::new(named("cache.internal"));
        ping(&by_address, &tls).await.unwrap();
        assert_eq!(
            problem(&by_name, named("db.internal")).await,
            other_name("db.internal", "`localhost`, `cache.internal`"),
        );
        let impossible = TlsProblem::ImpossibleName("a b".to_owned());
        assert_eq!(problem(&by_name, named("a b")).await, impossible);

        let redis = with(&["127.0.0.1"]);
        let tls = TlsClient::new(files.trusting());
        ping(&at("127.0.0.1", redis.port()), &tls).await.unwrap();
        assert_eq!(
            problem(&at("localhost", redis.port()), files.trusting()).await,
            other_name("localhost", "`127.0.0.1`"),
        );
    }
}

#[tokio::test]
async fn an_expired_certificate_and_an_unknown_authority_are_told_apart() {
    for server in servers::newest_with_tls() {
        let [authority, other] = [Authority::new(), Authority::new()];
        let files = Files::of(&authority);
        let names = ["localhost"];
        for (certificate, refused) in [
            (authority.issue_expired(&names), TlsProblem::Expired),
            (other.issue(&names), TlsProblem::UnknownAuthority),
        ] {
            let redis = start(&server, RedisTls::with(&authority, certificate));
            let address = at("localhost", redis.port());
            assert_eq!(
                problem(&address, files.trusting()).await,
                refused,
                "{server}"
            );
        }
    }
}

#[tokio::test]
async fn ports_with_and_without_tls_are_told_apart() {
    for server in servers::newest_with_tls() {
        let authority = Authority::new();
        let files = Files::of(&authority);
        let plain = RedisServer::start_with(server.options()).expect("a server");
        let address = at("127.0.0.1", plain.port());
        let tls = TlsClient::new(files.trusting());
        // It waits for the end of a line, which the handshake does not have.
        let opened = Client::open_over(&address, &tls, BRIEFLY, None).await;
        let found = opened.err();
        assert_eq!(found, Some(Error::Tls(TlsProblem::NoReply)), "{server}");

        let redis = start(&server, RedisTls::new(&authority));
        let address = Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: redis.port(),
        };
        let found = ping(&address, &TlsClient::new(Tls::default())).await;
        // Other servers of TLS say so first (`SpeaksTls`).
        assert_eq!(found, Err(Error::NotGreeted), "{server}");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_one_that_it_trusts() {
    for server in servers::newest_with_tls() {
        let [authority, other] = [Authority::new(), Authority::new()];
        let files = Files::of(&authority);
        let redis = RedisTls {
            client_certificates: true,
            ..RedisTls::new(&authority)
        };
        let redis = start(&server, redis);
        let address = at("127.0.0.1", redis.port());
        let trusted = files.showing(&authority.issue(&[]));
        ping(&address, &TlsClient::new(trusted)).await.unwrap();
        let none = problem(&address, files.trusting()).await;
        assert_eq!(none, TlsProblem::NoClientCertificate, "{server}");
        let unknown = problem(&address, files.showing(&other.issue(&[]))).await;
        assert!(
            matches!(&unknown, TlsProblem::ClientCertificate(alert) if alert == "UnknownCA"),
            "{server}: {unknown:?}"
        );
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let files = Files::of(&authority);
    let tls = files.showing(&authority.issue(&[]));
    files.write("empty", "");
    files.write("other.key", &authority.issue(&[]).key);
    let path = |name: &str| Some(files.path(name));
    // No server is needed: the files are read before it is reached.
    let address = at("127.0.0.1", 1);
    for (file, tls, begins) in [
        (
            TlsFile::Ca,
            Tls {
                ca: path("none"),
                ..tls.clone()
            },
            "cannot be read: ",
        ),
        (
            TlsFile::Ca,
            Tls {
                ca: path("empty"),
                ..tls.clone()
            },
            "holds no certificate",
        ),
        (
            TlsFile::Ca,
            Tls {
                ca: tls.key.clone(),
                ..tls.clone()
            },
            "holds no certificate",
        ),
        (
            TlsFile::Certificate,
            Tls {
                cert: path("none"),
                ..tls.clone()
            },
            "cannot be read: ",
        ),
        (
            TlsFile::Key,
            Tls {
                key: path("empty"),
                ..tls.clone()
            },
            "holds no private key",
        ),
        (
            TlsFile::Key,
            Tls {
                key: path("other.key"),
                ..tls.clone()
            },
            "does not belong to",
        ),
    ] {
        let found = problem(&address, tls).await;
        let TlsProblem::File {
            file: named,
            reason,
            ..
        } = &found
        else {
            panic!("{found:?}");
        };
        assert_eq!(*named, file, "{reason}");
        assert!(reason.starts_with(begins), "{reason}");
    }
    let missing = Tls {
        ca: path("none"),
        ..Tls::default()
    };
    let said = problem(&address, missing).await.to_string();
    let named = format!("({}) cannot be read", files.path("none").display());
    assert!(said.contains(&named), "{said}");
}

#[tokio::test]
async fn a_peer_without_tls_is_recognised_by_its_answer() {
    // The system accepts the connection, and the handshake gets no answer.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = at("127.0.0.1", silent.local_addr().unwrap().port());
    let tls = TlsClient::new(Tls::default());
    let opened = Client::open_over(&address, &tls, BRIEFLY, None).await;
    assert_eq!(opened.err(), Some(Error::Tls(TlsProblem::NoReply)));

    drop(silent.accept().await.unwrap());
    let closing = async { drop(silent.accept().await.unwrap()) };
    let (closed, ()) = tokio::join!(problem(&address, Tls::default()), closing);
    assert_eq!(closed, TlsProblem::Closed);

    let replying = async {
        let (mut client, _) = silent.accept().await.unwrap();
        client.write_all(b"-ERR unknown command\r\n").await.unwrap();
        client
    };
    let (replied, _) = tokio::join!(problem(&address, Tls::default()), replying);
    assert_eq!(replied, TlsProblem::NotTls);
}
