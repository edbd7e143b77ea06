//! Redis replies with refusals.

use aside::Scope;
use aside_testkit::RedisOptions;

use super::*;

/// Checks that every read comes from the library, at once, for several PINGs.
async fn stays_unused(instance: &Instance) {
    eventually(EVENTUALLY, "the refusal to be noticed", async || {
        instance.tier(1).await == Tier::Source && !instance.cache.is_synced()
    })
    .await;
    // Longer than several PINGs, each of which gets a reply.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(600) {
        let (tier, took) = timed(instance.tier(1)).await;
        assert_eq!(tier, Tier::Source);
        assert!(took < AT_ONCE, "{took:?}");
        let change = instance.books.update(Book::new(2, "changed"));
        let (changed, took) = timed(change).await;
        assert!(changed.unwrap().is_some());
        assert!(took < AT_ONCE, "{took:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn resumes_soon(instance: &Instance, what: &str) {
    let begun = Instant::now();
    for id in 1..=3 {
        instance.caches(id).await;
    }
    measured(what, begun.elapsed());
    assert!(begun.elapsed() < RESUMES_WITHIN, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_wrong_password_costs_no_read_until_it_is_corrected() {
    let redis = redis();
    redis.set_config("requirepass", "right");
    let library = Library::of(3);
    let config = CacheConfig {
        redis_password: Some(Secret::new("wrong")),
        ..at(&redis.url())
    };
    let instance = Instance::start(config, &library).await;
    stays_unused(&instance).await;
    let_anybody_in(&redis);
    resumes_soon(&instance, "after a corrected password").await;
}

/// Removes the password, over a connection that knows it.
fn let_anybody_in(redis: &RedisServer) {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(redis.address()).unwrap();
    socket
        .write_all(b"AUTH right\r\nCONFIG SET requirepass \"\"\r\n")
        .unwrap();
    let mut answer = [0; 10];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n+OK\r\n");
}

#[tokio::test]
async fn a_user_without_the_right_to_run_scripts_costs_no_read() {
    let redis = redis();
    redis.command(&["ACL", "SETUSER", "default", "-eval", "-evalsha"]);
    let library = Library::of(3);
    let instance = Instance::start(at(&redis.url()), &library).await;
    let _ = instance.tier(1).await;
    stays_unused(&instance).await;
    assert!(instance.errors("redis_refused") > 0);
    redis.command(&["ACL", "SETUSER", "default", "+@all"]);
    resumes_soon(&instance, "after a corrected ACL").await;
}

#[tokio::test]
async fn a_replica_in_place_of_the_primary_is_not_used() {
    let (primary, replica) = (redis(), redis());
    let port = primary.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    let library = Library::of(3);
    let instance = Instance::start(at(&replica.url()), &library).await;
    stays_unused(&instance).await;
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    resumes_soon(&instance, "after a promotion").await;
}

#[tokio::test]
async fn a_demoted_primary_is_trusted_no_longer_than_the_bound() {
    let (redis, other) = (redis(), redis());
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    let port = other.port().to_string();
    redis.command(&["REPLICAOF", "127.0.0.1", &port]);
    let demoted = Instant::now();
    eventually(EVENTUALLY, "the demotion to be noticed", async || {
        !instance.cache.is_synced()
    })
    .await;
    let noticed = demoted.elapsed();
    measured("a demotion to its being noticed", noticed);
    assert!(noticed < Duration::from_millis(500), "{noticed:?}");
    stays_unused(&instance).await;
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    resumes_soon(&instance, "after a demotion").await;
}

#[tokio::test]
async fn a_write_to_a_just_demoted_primary_is_read_back() {
    let (redis, other) = (redis(), redis());
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(3).await;
    let port = other.port().to_string();
    redis.command(&["REPLICAOF", "127.0.0.1", &port]);
    // READONLY, unless the demotion has been noticed by now.
    let change = instance.books.update(Book::new(3, "changed"));
    let (changed, took) = timed(change).await;
    assert!(changed.unwrap().is_some());
    assert!(took < FIRST_ANSWER_WITHIN, "{took:?}");
    assert_eq!(instance.tier(3).await, Tier::Source);
    stays_unused(&instance).await;
}

#[tokio::test]
async fn a_server_that_refuses_writes_but_answers_pings_is_unused() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    // NOREPLICAS, as from a primary that lost its replicas.
    redis.set_config("min-replicas-to-write", "1");
    let change = instance.books.update(Book::new(2, "changed"));
    assert!(change.await.unwrap().is_some());
    stays_unused(&instance).await;
    redis.set_config("min-replicas-to-write", "0");
    resumes_soon(&instance, "after refused writes").await;
}

#[tokio::test]
async fn a_server_that_lost_its_scripts_gets_them_again() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    redis.command(&["SCRIPT", "FLUSH"]);
    assert!(instance.caches(1).await < AT_ONCE);
    redis.command(&["SCRIPT", "FLUSH"]);
    let change = instance.books.update(Book::new(1, "changed"));
    assert!(change.await.unwrap().is_some());
    assert!(instance.caches(1).await < AT_ONCE);
    assert!(instance.cache.stats().errors.is_empty());
}

#[tokio::test]
async fn a_flush_costs_only_values() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    redis.command(&["FLUSHALL"]);
    for id in 1..=3 {
        let took = instance.caches(id).await;
        assert!(took < AT_ONCE, "{took:?}");
    }
    // In the middle of a write: the release finds no quarantine.
    let mut write = instance.cache.write();
    write.updated(&Book::new(1, "tale 1"), &Book::new(1, "tale 1"));
    assert!(write.before_commit().await.is_empty());
    redis.command(&["FLUSHALL"]);
    write.committed().await;
    assert!(instance.cache.stats().releases_lost > 0);
    assert!(instance.cache.stats().errors.is_empty());
}

fn filled(redis: &RedisServer) {
    let ballast = "x".repeat(100_000);
    for number in 0..30 {
        redis.command(&["SET", &format!("ballast{number}"), &ballast]);
    }
    redis.set_config("maxmemory", "2mb");
}

#[tokio::test]
async fn a_full_redis_keeps_serving_and_is_not_suspected() {
    let redis = redis();
    let library = Library::of(3);
    let reader = Instance::in_step(at(&redis.url()), &library).await;
    let writer = Instance::in_step(at(&redis.url()), &library).await;
    reader.caches(1).await;
    filled(&redis);

    let shared = writer.books.find_by_id_with(&1, Freshness::Shared).await;
    assert_eq!(shared.unwrap().tier, Tier::Shared);
    assert_eq!(writer.tier(2).await, Tier::Source);
    eventually(EVENTUALLY, "the refused fill", async || {
        writer.errors("redis_out_of_memory") > 0
    })
    .await;

    let change = Book::new(1, "changed");
    let mut write = writer.cache.write();
    write.updated(&Book::new(1, "tale 1"), &change);
    assert!(write.before_commit().await.is_empty(), "all acknowledged");
    let quarantined = redis.command(&["GET", "book:1"]);
    assert!(quarantined.text().unwrap().starts_with('Q'));
    write.committed().await;
    writer.books.update(change).await.unwrap();
    assert_eq!(reader.tier(1).await, Tier::Source);

    for instance in [&reader, &writer] {
        assert!(instance.cache.is_synced());
        assert_eq!(instance.errors("redis_refused"), 0);
        assert_eq!(instance.cache.health_check().await.unreleased_keys, 0);
    }
    redis.set_config("maxmemory", "0");
    resumes_soon(&reader, "after a full Redis").await;
}

#[tokio::test]
async fn a_redis_that_evicts_all_the_time_serves_no_old_value() {
    serves_nothing_old_while_it_evicts("allkeys-lru").await;
}

#[tokio::test]
async fn a_redis_that_evicts_quarantines_first_serves_no_old_value() {
    serves_nothing_old_while_it_evicts("volatile-ttl").await;
}

async fn serves_nothing_old_while_it_evicts(policy: &str) {
    let redis = RedisServer::start_with(RedisOptions {
        maxmemory_bytes: Some(1),
        maxmemory_policy: Some(policy.into()),
        ..RedisOptions::default()
    });
    let redis = redis.expect("redis-server or valkey-server");
    let library = Library::of(3);
    let reader = Instance::start(at(&redis.url()), &library).await;
    let writer = Instance::start(at(&redis.url()), &library).await;
    for turn in 0..50 {
        let id = turn % 3 + 1;
        reader.tier(id).await;
        let change = Book::new(id, format!("turn {turn}"));
        assert!(writer.books.update(change).await.unwrap().is_some());
        writer.tier(id).await;
        let shared = reader.books.find_by_id_with(&id, Freshness::Shared).await;
        let title = shared.unwrap().value.unwrap().title.clone();
        assert_eq!(title, format!("turn {turn}"));
    }
    let evicted: u64 = redis.info("stats")["evicted_keys"].parse().unwrap();
    assert!(evicted > 0, "nothing was evicted");
}

#[tokio::test]
async fn a_kind_is_invalidated_without_the_right_to_list_its_keys() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    let other = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    other.caches(1).await;
    redis.command(&["ACL", "SETUSER", "default", "-scan"]);
    library.overwrite(Book::new(1, "changed behind the cache's back"));
    // No memory is freed, and no old row is served.
    assert_eq!(instance.books.invalidate(Scope::Kind).await, 0);
    instance.caches(1).await;
    let heard = async || {
        let book = other.books.find_by_id(&1).await.unwrap().unwrap();
        book.title == library.title(1).unwrap()
    };
    eventually(EVENTUALLY, "the message", heard).await;
    other.caches(1).await;
}

#[tokio::test]
async fn a_user_without_epoch_rights_loses_only_that_kind() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    redis.command(&["ACL", "SETUSER", "default", "-hset"]);
    library.overwrite(Book::new(1, "changed behind the cache's back"));
    assert_eq!(instance.books.invalidate(Scope::Kind).await, 0);
    // The retry queue tries it again and again; nothing else is affected.
    let refused = instance.errors("redis_refused");
    eventually(EVENTUALLY, "further attempts", async || {
        assert_eq!(instance.tier(1).await, Tier::Source);
        assert!(instance.cache.is_synced());
        instance.errors("redis_refused") >= refused + 3
    })
    .await;
    redis.command(&["ACL", "SETUSER", "default", "+@all"]);
    resumes_soon(&instance, "after an epoch that was refused").await;
}
