//! A server that lost acknowledged writes: restored from an older file, or a
//! replica promoted without the latest commands.

use aside::settings::RedisHistory;
use aside_testkit::{Behavior, FakeServer, Feature, RedisOptions};

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

fn replica_of(primary: &RedisServer) -> RedisServer {
    RedisServer::start_with(RedisOptions {
        config: vec![format!("replicaof 127.0.0.1 {}", primary.port())],
        ..RedisOptions::default()
    })
    .expect("redis-server or valkey-server")
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
    // A proof after the write confirms it; without one it would be repeated at
    // the restored server. The second PING follows the reply to the first.
    just_proved(&redis).await;
    just_proved(&redis).await;
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
        let kinds = instance.cache.stats().kinds;
        kinds[0].miss_reasons.contains_key("other_history")
    })
    .await;
    assert_eq!(instance.errors("other_history"), 0, "it is no error");
    // A new instance knows the new history only.
    let newcomer = Instance::in_step(at(&redis.url()), &library).await;
    newcomer.caches(1).await;
    assert!(get(&redis, &key).contains("changed"));
}

#[tokio::test]
async fn a_replica_promoted_without_its_tail_serves_no_old_value() {
    let primary = redis();
    let replica = replica_of(&primary);
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
    instance.is_bypassed_because(&["different histories"]).await;
    for _ in 0..20 {
        assert_eq!(instance.tier(1).await, Tier::Source);
    }
    // In the end all connections reach the new server.
    old.kill();
    instance.caches(1).await;
}

/// Waits until a server has just replied to a PING.
async fn just_proved(redis: &RedisServer) {
    let pings = || {
        let told = redis.command(&["INFO", "commandstats"]);
        let text = told.text().unwrap_or_default().to_owned();
        let line = text.lines().find(|line| line.starts_with("cmdstat_ping:"));
        line.map(str::to_owned)
    };
    let before = pings();
    eventually(EVENTUALLY, "a PING", async || pings() != before).await;
}

#[tokio::test]
async fn a_write_that_a_deposed_primary_acknowledged_is_repeated_at_its_successor() {
    let primary = redis();
    let replica = replica_of(&primary);
    let proxy = way_to(&primary).await;
    let library = Library::of(3);
    // PINGs are half a second apart.
    let patient = CacheConfig {
        max_staleness: Duration::from_secs(60),
        ..through(&proxy)
    };
    let writer = Instance::in_step(patient, &library).await;
    eventually(EVENTUALLY, "the replica", async || {
        let told = replica.command(&["INFO", "replication"]);
        told.text()
            .is_some_and(|text| text.contains("master_link_status:up"))
    })
    .await;
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let reader = Instance::in_step(at(&replica.url()), &library).await;
    // The primary does not know of its successor, where the old row is filled.
    let key = cached(&reader).await;
    just_proved(&primary).await;
    let change = writer.books.update(Book::new(1, "changed"));
    assert!(change.await.unwrap().is_some());
    proxy.lead_to(replica.address());
    proxy.reset();
    eventually(EVENTUALLY, "the write at the successor", async || {
        !get(&replica, &key).contains("tale 1") && {
            let read = reader.books.find_by_id(&1).await.unwrap();
            read.is_some_and(|book| book.title == "changed")
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_without_a_replication_id_is_refused_by_name() {
    let server = FakeServer::start(Behavior::RedisWithout(Feature::ReplicationId));
    let server = server.await.unwrap();
    let library = Library::of(3);
    let url = format!("redis://{}/0", server.address());
    let instance = Instance::start(at(&url), &library).await;
    instance
        .is_bypassed_because(&["master_replid", "REDIS_HISTORY=reconnect"])
        .await;
    for _ in 0..20 {
        assert_eq!(instance.tier(1).await, Tier::Source);
    }
}

fn noticed_by_reconnects(config: CacheConfig) -> CacheConfig {
    CacheConfig {
        redis_history: RedisHistory::Reconnect,
        ..config
    }
}

#[tokio::test]
async fn a_lost_connection_invalidates_everything_where_no_history_is_reported() {
    let old = redis();
    let proxy = way_to(&old).await;
    let library = Library::of(3);
    let config = noticed_by_reconnects(through(&proxy));
    let instance = Instance::in_step(config.clone(), &library).await;
    let other = Instance::in_step(config, &library).await;
    let key = cached(&instance).await;
    // Its successor has the value from before the write.
    let value = get(&old, &key);
    let new = redis();
    let epochs = old.command(&["HGET", "aside:epochs", "book"]);
    new.command(&["HSET", "aside:epochs", "book", epochs.text().unwrap()]);
    let change = instance.books.update(Book::new(1, "changed"));
    assert!(change.await.unwrap().is_some());
    just_proved(&old).await;
    just_proved(&old).await;
    new.command(&["SET", &key, &value]);
    proxy.lead_to(new.address());
    proxy.reset();
    // `tier` compares each answer with the library.
    instance.resumes().await;
    other.resumes().await;
    instance.caches(1).await;
    other.caches(1).await;
    assert!(get(&new, &key).contains("changed"));
}

#[tokio::test]
async fn all_connections_follow_the_watcher_where_no_history_is_reported() {
    let (old, new) = (redis(), redis());
    let proxy = way_to(&old).await;
    let library = Library::of(3);
    let instance = Instance::in_step(noticed_by_reconnects(through(&proxy)), &library).await;
    let writer = Instance::in_step(noticed_by_reconnects(at(&new.url())), &library).await;
    instance.caches(1).await;
    // Only the watcher's connection is lost; the others stay with the old server.
    proxy.lead_to(new.address());
    assert_eq!(old.client_kill_pubsub(), 1);
    eventually(EVENTUALLY, "no connection to the old server", async || {
        connections(&old) == 0
    })
    .await;
    instance.resumes().await;
    instance.caches(1).await;
    change_heard(&writer, &instance).await;
    instance.caches(1).await;
}

/// Changes book 1, and waits until the other instance does not serve it from its
/// memory.
async fn change_heard(writer: &Instance, reader: &Instance) {
    let changed = writer.books.update(Book::new(1, "changed"));
    assert!(changed.await.unwrap().is_some());
    eventually(EVENTUALLY, "the change", async || {
        let read = reader.books.find_by_id(&1).await.unwrap();
        read.is_some_and(|book| book.title == "changed")
    })
    .await;
}

#[test]
fn a_connection_lost_with_its_runtime_begins_another_era() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let redis = redis();
    let library = Library::of(3);
    let first = runtime();
    let instance = first.block_on(async {
        let config = noticed_by_reconnects(at(&redis.url()));
        let instance = Instance::in_step(config, &library).await;
        instance.caches(1).await;
        redis.command(&["SAVE"]);
        let change = instance.books.update(Book::new(1, "changed"));
        assert!(change.await.unwrap().is_some());
        just_proved(&redis).await;
        just_proved(&redis).await;
        instance
    });
    drop(first);
    // The restored value is older than the write.
    redis.kill();
    redis.restart();
    runtime().block_on(async {
        instance.resumes().await;
        instance.caches(1).await;
    });
}

#[tokio::test]
async fn an_era_that_does_not_begin_in_time_is_begun_again() {
    let redis = redis();
    let library = Library::of(3);
    let config = CacheConfig {
        redis_socket_timeout: Duration::from_millis(500),
        ..noticed_by_reconnects(at(&redis.url()))
    };
    let instance = Instance::in_step(config, &library).await;
    redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    assert_eq!(redis.client_kill_pubsub(), 1);
    instance
        .is_bypassed_because(&["era did not begin in time"])
        .await;
    redis.command(&["CLIENT", "UNPAUSE"]);
    instance.resumes().await;
    instance.caches(1).await;
}
