//! Redis in operators' setups: other modes than a single primary, users with
//! few rights, proxies, idle timeouts. A setup that cannot be used is named in
//! the log, and is not used partly.

use std::net::SocketAddr;

use aside_testkit::{Behavior, FakeServer, RedisOptions};
use tracing::Level;

use super::listener::Listener;
use super::*;

const OF_REDIS: &[&str] = &["Redis ", "no connection to Redis", "this Redis"];

/// A server in cluster mode that serves every slot by itself.
fn of_a_cluster() -> RedisServer {
    let options = RedisOptions {
        config: vec!["cluster-enabled yes".into()],
        ..RedisOptions::default()
    };
    let redis = RedisServer::start_with(options).expect("redis-server or valkey-server");
    redis.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    redis
}

/// Waits until the log has given `reason`, then reads and writes for longer
/// than several attempts to connect. Returns the lines logged at ERROR.
async fn is_refused_with(
    config: CacheConfig,
    reason: &str,
    listener: &Listener,
) -> (Instance, Vec<String>) {
    let library = Library::of(3);
    let instance = Instance::start(config, &library).await;
    let mut errors = Vec::new();
    eventually(EVENTUALLY, "the reason in the log", async || {
        let heard = listener.heard().into_iter();
        errors.extend(heard.filter(|(level, _)| *level == Level::ERROR));
        errors.iter().any(|(_, said)| said.contains(reason))
    })
    .await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(800) {
        assert_eq!(instance.tier(1).await, Tier::Source);
        let change = Book::new(2, format!("after {:?}", begun.elapsed()));
        assert!(instance.books.update(change).await.unwrap().is_some());
        assert!(!instance.cache.is_synced());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    errors.extend(
        listener
            .heard()
            .into_iter()
            .filter(|(level, _)| *level == Level::ERROR),
    );
    let errors = errors.into_iter().map(|(_, said)| said).collect();
    (instance, errors)
}

#[tokio::test]
async fn a_server_in_cluster_mode_is_refused_before_the_first_read() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = of_a_cluster();
    let (instance, errors) = is_refused_with(at(&redis.url()), "redis+cluster://", &listener).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(instance.cache.health_check().await.connections, 0);
    assert_eq!(redis.command(&["DBSIZE"]).integer(), Some(0));
}

#[tokio::test]
async fn a_refused_command_or_connection_says_what_to_do() {
    for (line, advice) in [
        ("rename-command EVALSHA \"\"", "renamed or switched off"),
        ("rename-command SUBSCRIBE \"\"", "renamed or switched off"),
        ("maxclients 2", "maxclients"),
    ] {
        let listener = Listener::of(Level::INFO, OF_REDIS);
        let _installed = tracing::subscriber::set_default(listener.clone());
        let options = RedisOptions {
            config: vec![line.into()],
            ..RedisOptions::default()
        };
        let redis = RedisServer::start_with(options).expect("redis-server or valkey-server");
        let (instance, errors) = is_refused_with(at(&redis.url()), advice, &listener).await;
        assert_eq!(errors.len(), 1, "{line}: {errors:?}");
        assert!(instance.reason().await.contains(advice), "{line}");
    }
}

#[tokio::test]
async fn a_cluster_that_replaces_the_primary_is_refused() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let (redis, cluster) = (redis(), of_a_cluster());
    let proxy = way_to(&redis).await;
    let library = Library::of(3);
    let instance = Instance::in_step(through(&proxy), &library).await;
    instance.caches(1).await;
    listener.heard();
    proxy.lead_to(cluster.address());
    proxy.sever();
    eventually(EVENTUALLY, "the reason in the log", async || {
        let heard = listener.heard();
        heard
            .iter()
            .any(|(_, said)| said.contains("redis+cluster://"))
    })
    .await;
    for id in 1..=3 {
        assert_eq!(instance.tier(id).await, Tier::Source);
        let change = Book::new(id, "changed");
        assert!(instance.books.update(change).await.unwrap().is_some());
    }
    proxy.lead_to(redis.address());
    proxy.sever();
    instance.caches(1).await;
}

/// A cluster behind a proxy that hides it: only commands on two keys reveal it.
#[tokio::test]
async fn a_server_that_refuses_two_keys_at_once_is_never_trusted() {
    let redis = of_a_cluster();
    let hiding = Hiding::start(redis.address()).await;
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let config = at(&format!("redis://{}/0", hiding.0));
    let library = Library::of(3);
    let instance = Instance::start(config, &library).await;
    eventually(EVENTUALLY, "the refusal", async || {
        instance.errors("redis_refused") > 0
    })
    .await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(800) {
        assert!(!instance.cache.is_synced());
        assert_eq!(instance.tier(1).await, Tier::Source);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A proxy that reports `standalone` if its server reports `cluster`.
struct Hiding(SocketAddr);

impl Hiding {
    async fn start(server: SocketAddr) -> Self {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let server = tokio::net::TcpStream::connect(server).await.unwrap();
                    let (mut from, mut to) = server.into_split();
                    let (mut asks, mut told) = client.into_split();
                    tokio::spawn(async move { tokio::io::copy(&mut asks, &mut to).await });
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(read @ 1..) = from.read(&mut buffer).await {
                        let said = String::from_utf8_lossy(&buffer[..read])
                            .replace("$7\r\ncluster", "$10\r\nstandalone")
                            .replace("redis_mode:cluster", "redis_mode:singles")
                            .replace("cluster_enabled:1", "cluster_enabled:0");
                        if told.write_all(said.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self(address)
    }
}

#[tokio::test]
async fn a_sentinel_is_refused_with_the_scheme_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let sentinel = directory.path().join("redis-sentinel");
    let server = std::env::var_os("PATH").unwrap();
    let server = std::env::split_paths(&server)
        .map(|path| path.join("redis-server"))
        .find(|path| path.is_file())
        .expect("redis-server");
    std::os::unix::fs::symlink(server, &sentinel).unwrap();
    let options = RedisOptions {
        program: Some(sentinel),
        ..RedisOptions::default()
    };
    let redis = RedisServer::start_with(options).unwrap();
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let config = at(&redis.url());
    let (_, errors) = is_refused_with(config, "redis+sentinel://", &listener).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[tokio::test]
async fn a_user_without_scripts_gets_a_list_of_missing_rights() {
    let redis = redis();
    redis.command(&["ACL", "SETUSER", "default", "-evalsha", "-script"]);
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let config = at(&redis.url());
    let (_, errors) = is_refused_with(config, "docs/operations.md", &listener).await;
    // Each of its two connections logs one sentence.
    assert!(errors.len() <= 2, "{errors:?}");
    let told = |said: &String| said.contains("docs/operations.md");
    assert!(errors.iter().all(told), "{errors:?}");
}

#[tokio::test]
async fn the_log_distinguishes_a_replica_from_a_primary() {
    let (primary, replica) = (redis(), redis());
    let port = primary.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let config = at(&replica.url());
    is_refused_with(config, "a replica", &listener).await;
}

#[tokio::test]
async fn a_proxy_that_hangs_up_on_hello_is_named_as_the_reason() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    // As twemproxy does on a command that it does not know.
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = proxy.accept().await {
            let _ = tokio::io::AsyncReadExt::read(&mut client, &mut [0; 512]).await;
        }
    });
    let config = at(&format!("redis://{address}/0"));
    let (_, errors) = is_refused_with(config, "HELLO", &listener).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[tokio::test]
async fn an_error_code_of_a_fake_server_is_logged_escaped() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let said = b"-\x1b]0;pwned\x07\x1b[31mRED\x1b[0m!\r\n".repeat(4);
    let fake_server = FakeServer::start(Behavior::Garbage(said)).await.unwrap();
    let config = at(&format!("redis://{}/0", fake_server.address()));
    let (_, errors) = is_refused_with(config, "pwned", &listener).await;
    for said in errors {
        assert!(!said.contains(['\x1b', '\x07']), "{said:?}");
    }
}

/// A name that resolves to the primary and to its replica.
#[tokio::test]
async fn a_connection_to_a_replica_carries_no_reads() {
    let (primary, replica) = (redis(), redis());
    let port = primary.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    eventually(EVENTUALLY, "the replica in step", async || {
        let said = replica.info("replication");
        said.get("master_link_status").map(String::as_str) == Some("up")
    })
    .await;
    let proxy = way_to(&primary).await;
    let library = Library::of(3);
    let instance = Instance::in_step(through(&proxy), &library).await;
    eventually(EVENTUALLY, "every connection", async || {
        connections(&primary) == 5
    })
    .await;
    proxy.lead_to(replica.address());
    primary.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    eventually(EVENTUALLY, "an attempt at the replica", async || {
        connections(&replica) > 0 || instance.cache.health_check().await.connections == 0
    })
    .await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(800) {
        assert_eq!(instance.cache.health_check().await.connections, 0);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_costs_no_hit() {
    let redis = redis();
    redis.set_config("timeout", "3");
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    only_hits_for(&instance, Duration::from_secs(9)).await;
    assert!(instance.cache.stats().errors.is_empty());
}

/// A firewall or a restarted proxy does this: no command was in flight.
#[tokio::test]
async fn idle_connections_that_are_closed_cost_no_hit() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    for _ in 0..5 {
        eventually(EVENTUALLY, "every connection", async || {
            connections(&redis) == 5
        })
        .await;
        redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        only_hits_for(&instance, Duration::from_millis(300)).await;
    }
}

async fn only_hits_for(instance: &Instance, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        assert_eq!(instance.tier(1).await, Tier::Local, "{:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
