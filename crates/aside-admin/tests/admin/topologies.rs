//! The files on the pages of `docs/topologies` start every server, and their
//! users have the rights that they need.

use std::path::Path;

use aside::{CacheConfig, Repository, Secret, Source};
use aside_testkit::{
    ClusterOptions, RedisCluster, RedisOptions, RedisSentinel, RedisServer, Reply, SentinelOptions,
    eventually, servers,
};

use crate::SOON;
use crate::heroes::{Heroes, Instance, hero};

fn page_of_docs(page: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::read_to_string(folder.join(page)).unwrap()
}

/// Returns the lines of the file `name` on this page.
///
/// Without those that the test kit writes itself: it is the default user, and
/// its Sentinels monitor other addresses.
fn file(page: &str, name: &str) -> Vec<String> {
    const OF_THE_KIT: [&str; 5] = [
        "cluster-node-timeout ",
        "user default ",
        "sentinel monitor ",
        "sentinel down-after-milliseconds ",
        "sentinel failover-timeout ",
    ];
    let text = page_of_docs(&format!("topologies/{page}"));
    let title = format!("# {name}");
    let lines = text.lines().skip_while(|line| *line != title).skip(1);
    let lines: Vec<String> = lines
        .take_while(|line| !line.starts_with("```"))
        .filter(|line| OF_THE_KIT.iter().all(|start| !line.starts_with(start)))
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "{page} has no {name}");
    lines
}

/// Returns the settings on the pages, for this address.
fn config(url: &str) -> CacheConfig {
    CacheConfig {
        redis_url: Secret::new(url),
        redis_username: Some("aside".to_owned()),
        redis_password: Some(Secret::new("PASSWORD")),
        redis_sentinel_username: Some("aside".to_owned()),
        redis_sentinel_password: Some(Secret::new("PASSWORD")),
        ..CacheConfig::default()
    }
}

/// Waits until Redis is used.
async fn is_used(instance: &Instance) {
    eventually(SOON, "a Redis that is used", async || {
        instance.cache.is_synced()
    })
    .await;
}

/// Uses the commands of reads and writes.
async fn exercise(instance: &Instance, name: &str) {
    instance.cache_row("1", "hero:1").await;
    let Ok(_) = instance.heroes.update(hero("1", name, "en")).await;
    assert_eq!(instance.name_of("1").await.as_deref(), Some(name));
    instance.cache_row("1", "hero:1").await;
}

/// Checks that the server refused nothing but the service's `CLIENT SETINFO`,
/// for which only servers from 7.2 on have a right. Redis 6.2 logs its first
/// word.
fn assert_nothing_refused(server: &RedisServer) {
    let Reply::Array(refusals) = server.command(&["ACL", "LOG"]) else {
        panic!("no log of refusals");
    };
    for refusal in refusals {
        let Reply::Array(parts) = refusal else {
            panic!("a refusal has fields");
        };
        let field = |name| {
            let mut pairs = parts.chunks(2);
            let pair = pairs.find(|pair| pair[0].text() == Some(name))?;
            pair[1].text()
        };
        let (user, object) = (field("username"), field("object"));
        assert!(
            user == Some("aside") && matches!(object, Some("client" | "client|setinfo")),
            "{user:?} may not use {object:?}"
        );
    }
}

#[tokio::test]
async fn the_file_for_one_server_suffices_on_every_server() {
    for server in servers::newest() {
        let redis = RedisServer::start_with(RedisOptions {
            config: file("single.md", "redis.conf"),
            ..server.options()
        })
        .unwrap();
        let source = Heroes::with([hero("1", "Ada", "en")]);
        let url = redis.url();
        let instance = Instance::start_with(config(&url), &url, &source).await;
        is_used(&instance).await;
        exercise(&instance, "Grace").await;
        let Ok(_) = instance.heroes.list_all().await;
        instance.cache.flush().await;
        assert_nothing_refused(&redis);
    }
}

#[tokio::test]
async fn the_files_for_sentinels_survive_a_failover_on_every_server() {
    for server in servers::newest() {
        let group = RedisSentinel::start_with(SentinelOptions {
            sentinel_config: file("sentinel.md", "sentinel.conf"),
            server: RedisOptions {
                config: file("sentinel.md", "redis.conf"),
                ..server.options()
            },
            ..SentinelOptions::default()
        })
        .unwrap();
        let source = Heroes::with([hero("1", "Ada", "en")]);
        let url = group.url();
        let instance = Instance::start_with(config(&url), &url, &source).await;
        is_used(&instance).await;
        exercise(&instance, "Grace").await;
        // Not forced, so that the Sentinels need each other's votes.
        group.servers()[0].kill();
        eventually(SOON, "a successor that is used", async || {
            group.primary().is_some_and(|now| now != 0) && instance.cache.is_synced()
        })
        .await;
        exercise(&instance, "Bo").await;
        let all = group.servers()[1..].iter().chain(group.sentinels());
        all.for_each(assert_nothing_refused);
    }
}

#[tokio::test]
async fn the_file_for_a_cluster_survives_a_failover_on_every_server() {
    for server in servers::newest() {
        let cluster = RedisCluster::start_with(ClusterOptions {
            node: RedisOptions {
                config: file("cluster.md", "redis.conf"),
                ..server.options()
            },
            ..ClusterOptions::default()
        })
        .unwrap();
        let source = Heroes::with([hero("1", "Ada", "en")]);
        let url = cluster.url();
        let instance = Instance::start_with(config(&url), &url, &source).await;
        is_used(&instance).await;
        exercise(&instance, "Grace").await;
        let slot = cluster.slot_of("hero:1");
        let primary = cluster.primary_of(slot).unwrap();
        cluster.node(primary).kill();
        eventually(SOON, "a successor that is used", async || {
            let now = cluster.primary_of(slot);
            now.is_some_and(|now| now != primary) && instance.cache.is_synced()
        })
        .await;
        exercise(&instance, "Bo").await;
        for node in cluster.running() {
            assert_nothing_refused(cluster.node(node));
        }
    }
}

#[test]
fn every_page_has_the_recommended_user() {
    let user = |text: &str| {
        let mut lines = text.lines().filter(|line| line.contains("user aside on"));
        lines
            .find(|line| line.contains("+evalsha"))
            .map(str::to_owned)
    };
    let recommended = user(&page_of_docs("operations.md")).unwrap();
    for page in ["single.md", "sentinel.md"] {
        let lines = file(page, "redis.conf").join("\n");
        assert_eq!(user(&lines).as_ref(), Some(&recommended), "{page}");
    }
    let of_nodes = format!("{recommended} +asking +cluster|nodes +cluster|info");
    let lines = file("cluster.md", "redis.conf").join("\n");
    assert_eq!(user(&lines), Some(of_nodes));
}
