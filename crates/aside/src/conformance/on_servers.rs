//! The promises on every server of this machine, with the client of these tests and
//! with the production client: over TCP, over a unix socket, and over TLS if the
//! server has it; and through a service on a cluster of three and under Sentinels.
//!
//! One test for each major version: a test for each promise and server would start
//! a thousand servers. The output of a failure ends with the promise that broke.

use std::fs;

use aside_redis::Tls;
use aside_testkit::servers::{self, Server};
use aside_testkit::{
    Authority, ClusterOptions, RedisCluster, RedisOptions, RedisSentinel, RedisServer, RedisTls,
    SentinelOptions,
};
use tempfile::TempDir;

use super::on_client::OnClient;
use super::on_redis::OnRedis;
use super::on_service::OnService;
use super::{Case, promises, with_promises};

/// Checks all promises, and returns their number.
macro_rules! keep {
    ($open:expr; $($promise:ident),* $(,)?) => {{
        let mut kept = 0;
        $(
            println!("{}", stringify!($promise));
            Box::pin(promises::$promise(&Case::new($open))).await;
            kept += 1;
        )*
        kept
    }};
}

async fn every_promise_holds_on(name: &str) {
    for server in servers::all_of(name) {
        let redis = start(server.options());
        println!("{server}:");
        let kept = with_promises! { keep OnRedis::open(&redis) };
        println!("{server}, production client:");
        let by_client = with_promises! { keep OnClient::open(&redis).await };
        println!("{server}, unix socket:");
        let socket = redis.unix_url();
        let by_socket = with_promises! { keep OnClient::at(&socket, Tls::default()).await };
        let by_tls = if server.has_tls() {
            over_tls(&server).await
        } else {
            0
        };
        println!("{server}: kept {kept} + {by_client}, socket {by_socket}, TLS {by_tls}");
    }
}

/// Checks all promises through a service on a cluster and under Sentinels, in plain
/// text and over TLS if the server has it, and returns their number.
async fn every_promise_of_a_service_holds_on(name: &str) {
    for server in servers::all_of(name) {
        let plain = (server.options(), Tls::default());
        println!("{server}, cluster:");
        let mut kept = vec![on_a_cluster(plain.clone()).await];
        println!("{server}, Sentinels:");
        kept.push(under_sentinels(plain).await);
        if server.has_tls() {
            let (options, tls, _files) = with_tls(&server);
            println!("{server}, cluster over TLS:");
            kept.push(on_a_cluster((options.clone(), tls.clone())).await);
            println!("{server}, Sentinels over TLS:");
            kept.push(under_sentinels((options, tls)).await);
        }
        println!("{server}: kept {kept:?}");
    }
}

async fn on_a_cluster((node, tls): (RedisOptions, Tls)) -> u32 {
    let cluster = RedisCluster::start_with(ClusterOptions {
        replicas: 0,
        node,
        ..ClusterOptions::default()
    });
    let cluster = cluster.expect("a cluster of this server");
    let primaries: Vec<&RedisServer> = cluster.nodes().iter().collect();
    let url = cluster.url();
    with_promises! { keep OnService::open(&url, &tls, &primaries).await }
}

async fn under_sentinels((server, tls): (RedisOptions, Tls)) -> u32 {
    let sentinels = RedisSentinel::start_with(SentinelOptions {
        replicas: 1,
        server,
        ..SentinelOptions::default()
    });
    let sentinels = sentinels.expect("Sentinels of this server");
    let primary = &sentinels.servers()[0];
    let url = sentinels.url();
    with_promises! { keep OnService::open(&url, &tls, &[primary]).await }
}

/// Checks all promises over TLS with a client certificate, and returns their
/// number.
async fn over_tls(server: &Server) -> u32 {
    println!("{server}, TLS:");
    let (options, tls, _files) = with_tls(server);
    let redis = start(options);
    with_promises! { keep OnClient::at(&redis.url(), tls.clone()).await }
}

/// Returns the settings of a server with TLS that demands a client certificate, and
/// those of a client, whose files are in the directory.
fn with_tls(server: &Server) -> (RedisOptions, Tls, TempDir) {
    let authority = Authority::new();
    let options = RedisOptions {
        tls: Some(RedisTls {
            client_certificates: true,
            ..RedisTls::new(&authority)
        }),
        ..server.options()
    };
    let files = tempfile::tempdir().expect("a directory");
    let ca = files.path().join("authority.pem");
    fs::write(&ca, authority.pem()).expect("a file");
    let client = authority.issue(&["client"]);
    let [cert, key] = client.write_to(files.path(), "client").expect("files");
    let tls = Tls {
        ca: Some(ca),
        cert: Some(cert),
        key: Some(key),
        ..Tls::default()
    };
    (options, tls, files)
}

fn start(options: RedisOptions) -> RedisServer {
    RedisServer::start_with(options).expect("a server of this machine")
}

#[tokio::test]
async fn every_promise_holds_on_redis_6() {
    every_promise_holds_on("redis-6").await;
}

#[tokio::test]
async fn every_promise_holds_on_redis_7() {
    every_promise_holds_on("redis-7").await;
}

#[tokio::test]
async fn every_promise_holds_on_redis_8() {
    every_promise_holds_on("redis-8").await;
}

#[tokio::test]
async fn every_promise_holds_on_valkey_8() {
    every_promise_holds_on("valkey-8").await;
}

#[tokio::test]
async fn every_promise_holds_on_valkey_9() {
    every_promise_holds_on("valkey-9").await;
}

#[tokio::test]
async fn every_promise_of_a_service_holds_on_redis_6() {
    every_promise_of_a_service_holds_on("redis-6").await;
}

#[tokio::test]
async fn every_promise_of_a_service_holds_on_redis_7() {
    every_promise_of_a_service_holds_on("redis-7").await;
}

#[tokio::test]
async fn every_promise_of_a_service_holds_on_redis_8() {
    every_promise_of_a_service_holds_on("redis-8").await;
}

#[tokio::test]
async fn every_promise_of_a_service_holds_on_valkey_8() {
    every_promise_of_a_service_holds_on("valkey-8").await;
}

#[tokio::test]
async fn every_promise_of_a_service_holds_on_valkey_9() {
    every_promise_of_a_service_holds_on("valkey-9").await;
}
