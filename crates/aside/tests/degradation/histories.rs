//! A server that lost acknowledged writes: restored from an older file, or a
//! replica promoted without the latest commands.

use aside_testkit::RedisOptions;

use super::*;

/// Fills book 1. Returns its key in Redis.
async fn cached(instance: &Instance) -> String {
    instance.caches(1).await;
    "book:1".to_owned()
}

fn get(redis: &RedisServer, key: &str) -> String {
    let answer = redis.command(&["GET", key]);
    answer.text().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_redis_restored_from_an_older_file_serves_no_old_value() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    let key = cached(&instance).await;
    redis.command(&["SAVE"]);
    let change = instance.books.update(Book::new(1, "changed"));
    assert!(change.await.unwrap().is_some());
    // Commands after the SAVE are lost with the process.
    redis.kill();
    redis.restart();
    let kept = get(&redis, &key);
    assert!(
        kept.contains("entity") && !kept.contains("changed"),
        "{kept}"
    );
    // Every result is compared with the library, the cached ones as well. At
    // first it comes from the local tier, which has not noticed yet.
    eventually(EVENTUALLY, "the older value to be found", async || {
        instance.caches(1).await;
        instance.errors("other_history") > 0
    })
    .await;
    // A new instance knows the new history only.
    let newcomer = Instance::in_step(at(&redis.url()), &library).await;
    newcomer.caches(1).await;
    assert!(get(&redis, &key).contains("changed"));
}

#[tokio::test]
async fn a_replica_promoted_without_its_tail_serves_no_old_value() {
    let primary = redis();
    let replica = RedisServer::start_with(RedisOptions {
        config: vec![format!("replicaof 127.0.0.1 {}", primary.port())],
        ..RedisOptions::default()
    })
    .expect("redis-server or valkey-server");
    let proxy = way_to(&primary).await;
    let library = Library::of(3);
    let instance = Instance::in_step(through(&proxy), &library).await;
    let key = cached(&instance).await;
    eventually(EVENTUALLY, "the value on the replica", async || {
        get(&replica, &key).contains("entity")
    })
    .await;
    // It receives no further commands, so it still has the value from before
    // the write.
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let change = instance.books.update(Book::new(1, "changed"));
    assert!(change.await.unwrap().is_some());
    assert!(!get(&replica, &key).contains("changed"));
    proxy.lead_to(replica.address());
    proxy.reset();
    primary.kill();
    eventually(EVENTUALLY, "the new value on the replica", async || {
        instance.caches(1).await;
        get(&replica, &key).contains("changed")
    })
    .await;
}

#[tokio::test]
async fn connections_to_two_different_servers_are_not_used() {
    let (old, new) = (redis(), redis());
    let proxy = way_to(&old).await;
    let library = Library::of(3);
    let instance = Instance::in_step(through(&proxy), &library).await;
    instance.caches(1).await;
    // The watcher stays with the old server; commands reach the new one.
    proxy.lead_to(new.address());
    for line in old.command(&["CLIENT", "LIST"]).text().unwrap().lines() {
        if line.contains("resp=3") && line.contains(" sub=0 ") {
            let id = line.split(' ').next().unwrap().trim_start_matches("id=");
            old.command(&["CLIENT", "KILL", "ID", id]);
        }
    }
    // Connections lost while idle raise no suspicion, but the new server does.
    eventually(EVENTUALLY, "the other history to be noticed", async || {
        let reason = instance.cache.health_check().await.reason;
        reason.is_some_and(|reason| reason.contains("different histories"))
    })
    .await;
    for _ in 0..20 {
        assert_eq!(instance.tier(1).await, Tier::Source);
    }
    // In the end all connections reach the new server.
    old.kill();
    instance.caches(1).await;
}
