//! One node of a cluster that cannot be used: it is named, and closes only its keys.

use std::fs;

use aside_testkit::{Authority, ClusterOptions, RedisCluster, RedisOptions, RedisTls};
use tracing::Level;

use super::listener::Listener;
use super::*;

/// Three primaries that serve their own keys if another is away.
fn three(node: RedisOptions) -> RedisCluster {
    RedisCluster::start_with(ClusterOptions {
        replicas: 0,
        node: RedisOptions {
            config: vec!["cluster-require-full-coverage no".to_owned()],
            ..node
        },
        ..ClusterOptions::default()
    })
    .expect("redis-server or valkey-server")
}

/// Returns a book whose key a node owns.
fn book_at(cluster: &RedisCluster, node: usize) -> u32 {
    let owner = |id: &u32| cluster.primary_of(cluster.slot_of(&format!("book:{id}")));
    let mut books = 1..1000;
    let found = books.find(|id| owner(id) == Some(node));
    found.expect("a book in some slot of the node")
}

/// Returns the reasons of the primaries that are not used, with their servers.
async fn refused(instance: &Instance) -> Vec<(String, String)> {
    let shards = instance.cache.health_check().await.shards.into_iter();
    let refused = shards.filter_map(|shard| Some((shard.server, shard.reason?)));
    refused.collect()
}

/// Waits until one primary is refused for a reason with these texts, and its keys
/// alone are read from the database.
async fn only_one_is_refused(
    instance: &Instance,
    cluster: &RedisCluster,
    [one, other]: [u32; 2],
    texts: &[&str],
) {
    let server = cluster.node(1).address().to_string();
    eventually(EVENTUALLY, "the reason of one node", async || {
        let refused = refused(instance).await;
        let reason = match &refused[..] {
            [(named, reason)] if *named == server => reason,
            _ => return false,
        };
        texts.iter().all(|text| reason.contains(text))
    })
    .await;
    let reason = instance.reason().await;
    assert!(reason.contains(&server), "{reason}");
    instance.caches(other).await;
    assert_eq!(instance.tier(one).await, Tier::Source);
}

/// Returns a book of the second node, and one of the first.
fn books(cluster: &RedisCluster) -> [u32; 2] {
    [1, 0].map(|node| book_at(cluster, node))
}

#[tokio::test]
async fn a_node_that_demands_another_password_is_named_at_start() {
    let listener = Listener::of(Level::WARN, &["Redis ", "no connection to Redis"]);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let cluster = three(RedisOptions::default());
    let books = books(&cluster);
    cluster.node(1).set_config("requirepass", "sesame");
    let library = Library::of(1000);
    let instance = Instance::start(at(&cluster.url()), &library).await;
    let texts = ["NOAUTH", "set REDIS_PASSWORD"];
    only_one_is_refused(&instance, &cluster, books, &texts).await;

    // Once per change of state, and not at each attempt.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        assert_eq!(instance.tier(books[0]).await, Tier::Source);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let said = listener.heard();
    let server = cluster.node(1).address().to_string();
    let of_node = said.iter().filter(|(_, said)| said.contains(&server));
    assert!((1..=2).contains(&of_node.count()), "{said:?}");

    // The password of its file: none.
    cluster.node(1).restart();
    instance.resumes().await;
    instance.caches(books[0]).await;
}

#[tokio::test]
async fn a_node_that_changes_its_password_is_named_while_the_service_runs() {
    let cluster = three(RedisOptions::default());
    let books = books(&cluster);
    let library = Library::of(1000);
    let config = CacheConfig {
        redis_socket_timeout: Duration::from_millis(500),
        ..at(&cluster.url())
    };
    let instance = Instance::in_step(config, &library).await;
    for book in books {
        instance.caches(book).await;
    }
    let node = cluster.node(1);
    node.set_config("requirepass", "sesame");
    // Open connections stay.
    let change = Book::new(books[0], "changed");
    instance.books.update(change).await.unwrap();
    assert!(instance.cache.is_synced());
    // The service gives its silent connections up, and opens others.
    node.stop();
    eventually(EVENTUALLY, "the loss of a node", async || {
        instance.tier(books[0]).await;
        let shards = instance.cache.health_check().await.shards;
        shards.iter().any(|shard| shard.connections == 0)
    })
    .await;
    node.cont();
    only_one_is_refused(&instance, &cluster, books, &["NOAUTH"]).await;
}

#[tokio::test]
async fn a_node_with_the_certificate_of_another_host_is_named() {
    let authority = Authority::new();
    let cluster = three(RedisOptions {
        tls: Some(RedisTls::new(&authority)),
        ..RedisOptions::default()
    });
    let files = tempfile::tempdir().unwrap();
    let ca = files.path().join("authority.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let config = CacheConfig {
        redis_tls_ca: Some(ca),
        ..at(&cluster.url())
    };
    let books = books(&cluster);
    let other = authority.issue(&["redis-9.example.net"]);
    cluster.node(1).set_certificate(&other);
    let library = Library::of(1000);
    let instance = Instance::start(config, &library).await;
    let texts = ["redis-9.example.net", "REDIS_TLS_SERVER_NAME"];
    only_one_is_refused(&instance, &cluster, books, &texts).await;
}
