//! Each failure of TLS is a sentence that names the setting to change.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aside_redis::{Target, Tls, TlsClient};
use aside_testkit::servers;
use aside_testkit::{Authority, Certificate, RedisServer, RedisTls};
use tempfile::TempDir;

use crate::config::credentials::Authentication;
use crate::config::history::RedisHistory;
use crate::redis::endpoint::{Endpoint, Role};
use crate::redis::locator::Locator;

/// Opens a connection. Returns the reason if it cannot be used.
async fn refusal(url: &str, tls: &Tls) -> Option<String> {
    let endpoint = Endpoint {
        locator: Locator::Fixed(Target::parse(url).expect("an address").address),
        role: Role::Server,
        db: None,
        history: RedisHistory::Replid,
        tls: Arc::new(TlsClient::new(tls.clone())),
        socket_timeout: Duration::from_millis(500),
        max_value_bytes: 1 << 20,
        authentication: Authentication::Fixed(None),
    };
    let opened = endpoint.open(|_| ()).await;
    opened.err().map(|broken| broken.to_string())
}

/// Files of a client that trusts an authority.
struct Files {
    directory: TempDir,
}

impl Files {
    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.path().join(name))
    }

    fn of(authority: &Authority) -> (Self, Tls) {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Self { directory };
        let ca = files.path("ca.pem");
        fs::write(ca.as_ref().expect("a path"), authority.pem()).expect("a file");
        let tls = Tls {
            ca,
            ..Tls::default()
        };
        (files, tls)
    }
}

#[tokio::test]
async fn a_server_that_is_not_reached_is_named() {
    for (url, named) in [
        ("redis://127.0.0.1:1", "127.0.0.1:1: "),
        ("redis://[::1]:1", "[::1]:1: "),
        ("unix:///nowhere.sock", "/nowhere.sock: "),
    ] {
        let said = refusal(url, &Tls::default()).await.expect("a refusal");
        assert!(said.starts_with(named), "{said}");
    }
}

#[tokio::test]
async fn each_failure_of_tls_names_the_setting_to_change() {
    let Some(server) = servers::newest_with_tls().pop() else {
        return;
    };
    let start = |tls: RedisTls| {
        let mut options = server.options();
        options.tls = Some(tls);
        RedisServer::start_with(options).expect("a server")
    };
    let [authority, other] = [Authority::new(), Authority::new()];
    let (files, tls) = Files::of(&authority);
    let with = |certificate: Certificate| start(RedisTls::with(&authority, certificate));
    let names = ["localhost"];
    let good = with(authority.issue(&names));
    let at = |redis: &RedisServer| format!("rediss://localhost:{}", redis.port());
    assert_eq!(refusal(&at(&good), &tls).await, None);

    let missing = Tls {
        ca: files.path("missing"),
        ..Tls::default()
    };
    let strict = start(RedisTls {
        client_certificates: true,
        ..RedisTls::new(&authority)
    });
    let [cert, key] = other
        .issue(&[])
        .write_to(files.directory.path(), "client")
        .expect("two files");
    let untrusted = Tls {
        cert: Some(cert),
        key: Some(key),
        ..tls.clone()
    };
    let mismatched = Tls {
        key: tls.ca.clone(),
        ..untrusted.clone()
    };
    let plain = RedisServer::start_with(server.options()).expect("a server");
    let by_address = format!("rediss://127.0.0.1:{}", good.port());
    let unencrypted = format!("redis://localhost:{}", good.port());
    let expired = with(authority.issue_expired(&names));
    let unknown = with(other.issue(&names));
    for (url, tls, named) in [
        (
            at(&good),
            &missing,
            "REDIS_TLS_CA must name a readable file",
        ),
        (by_address, &tls, "or set REDIS_TLS_SERVER_NAME to it"),
        (at(&expired), &tls, "the server's tls-cert-file"),
        (at(&unknown), &tls, "REDIS_TLS_CA must name the certificate"),
        (at(&strict), &tls, "set REDIS_TLS_CERT and REDIS_TLS_KEY"),
        (at(&strict), &untrusted, "REDIS_TLS_CERT must name a valid"),
        (at(&good), &mismatched, "REDIS_TLS_KEY must name a readable"),
        (at(&plain), &tls, "REDIS_URL begins with rediss:// and must"),
        (unencrypted, &tls, "REDIS_URL must begin with rediss://"),
    ] {
        let said = refusal(&url, tls).await.expect("a refusal");
        assert!(said.contains(named), "{said}");
    }
}
