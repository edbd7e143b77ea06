//! A primary under Sentinels, which may replace it.

use aside_testkit::{Authority, RedisOptions, RedisSentinel, RedisTls, SentinelOptions};

use super::*;

/// How long a failover may take: the Sentinels wait a second before they vote.
const FAILOVER_WITHIN: Duration = Duration::from_secs(20);

fn sentinels() -> RedisSentinel {
    RedisSentinel::start().expect("redis-server or valkey-server")
}

/// Waits until a majority of the Sentinels names another server than `before`.
/// Returns its number.
async fn replaced(group: &RedisSentinel, before: usize) -> usize {
    eventually(FAILOVER_WITHIN, "another primary", async || {
        group.primary().is_some_and(|now| now != before)
    })
    .await;
    group.primary().unwrap()
}

/// Changes book 1 and reads it back through both instances.
async fn change(writer: &Instance, reader: &Instance, title: &str) {
    let changed = writer.books.update(Book::new(1, title));
    assert!(changed.await.unwrap().is_some());
    eventually(EVENTUALLY, "the change", async || {
        let read = reader.books.find_by_id(&1).await.unwrap();
        read.is_some_and(|book| book.title == title)
    })
    .await;
}

#[tokio::test]
async fn a_killed_primary_is_followed_to_its_successor_within_a_second() {
    let group = sentinels();
    let library = Library::of(3);
    let writer = Instance::in_step(at(&group.url()), &library).await;
    let reader = Instance::in_step(at(&group.url()), &library).await;
    writer.caches(1).await;
    change(&writer, &reader, "before").await;
    group.servers()[0].kill();
    // The database serves meanwhile.
    change(&writer, &reader, "meanwhile").await;
    let successor = replaced(&group, 0).await;
    let begun = Instant::now();
    writer.resumes().await;
    reader.resumes().await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let server = reader.cache.health_check().await.server.expect("a server");
    let address = group.servers()[successor].address().to_string();
    assert_eq!(server.address, address, "the health names the primary");
    reader.caches(1).await;
    change(&writer, &reader, "after").await;
}

#[tokio::test]
async fn a_deposed_primary_that_wakes_is_not_trusted() {
    let group = sentinels();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&group.url()), &library).await;
    let old = &group.servers()[0];
    old.stop();
    // Promoted, but not named by the Sentinels yet.
    eventually(FAILOVER_WITHIN, "a promotion", async || {
        let replicas = group.servers()[1..].iter();
        let mut roles = replicas.map(|server| server.info("replication")["role"].clone());
        roles.any(|role| role == "master")
    })
    .await;
    old.cont();
    let mut was_primary = false;
    eventually(FAILOVER_WITHIN, "the successor", async || {
        let is_synced = instance.cache.is_synced();
        was_primary |= old.info("replication")["role"] == "master";
        // Asked last: a majority that names the successor goes on to.
        let is_named = group.primary().is_some_and(|now| now != 0);
        assert!(is_named || !is_synced, "the deposed primary is trusted");
        is_named && is_synced
    })
    .await;
    assert!(was_primary, "the old server called itself the primary");
    instance.caches(1).await;
}

#[tokio::test]
async fn a_primary_without_a_majority_of_sentinels_is_bypassed() {
    let group = sentinels();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&group.url()), &library).await;
    instance.caches(1).await;
    let [one, two, _] = group.sentinels() else {
        unreachable!("three Sentinels")
    };
    one.stop();
    instance.caches(2).await;
    two.stop();
    eventually(EVENTUALLY, "a bypass", async || {
        let reason = instance.cache.health_check().await.reason;
        !instance.cache.is_synced()
            && reason.is_some_and(|reason| reason.contains("no majority of the Sentinels"))
    })
    .await;
    assert_eq!(instance.tier(1).await, Tier::Source);
    two.cont();
    let begun = Instant::now();
    instance.resumes().await;
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_url_with_one_sentinel_finds_the_others() {
    let group = sentinels();
    let library = Library::of(3);
    let [first, ..] = group.sentinels() else {
        unreachable!("three Sentinels")
    };
    let url = format!("redis+sentinel://{}/{}", first.address(), group.service());
    let instance = Instance::in_step(at(&url), &library).await;
    first.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    instance.caches(1).await;
}

#[tokio::test]
async fn a_sentinel_at_two_addresses_counts_once() {
    let group = sentinels();
    let library = Library::of(3);
    let [first, ..] = group.sentinels() else {
        unreachable!("three Sentinels")
    };
    // The others name it by its IP address.
    let (port, service) = (first.port(), group.service());
    let url = format!("redis+sentinel://localhost:{port}/{service}");
    let instance = Instance::in_step(at(&url), &library).await;
    // All have been asked by now, under every address.
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    instance.caches(1).await;
}

#[tokio::test]
async fn a_forced_failover_loses_no_write() {
    let group = sentinels();
    let library = Library::of(3);
    let writer = Instance::in_step(at(&group.url()), &library).await;
    let reader = Instance::in_step(at(&group.url()), &library).await;
    group.failover();
    for number in 0..100 {
        change(&writer, &reader, &format!("title {number}")).await;
        if group.primary() != Some(0) && writer.cache.is_synced() && 20 < number {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    replaced(&group, 0).await;
    reader.caches(1).await;
}

#[tokio::test]
async fn a_service_that_the_sentinels_do_not_know_is_named() {
    let group = sentinels();
    let [first, ..] = group.sentinels() else {
        unreachable!("three Sentinels")
    };
    let library = Library::of(3);
    let url = format!("redis+sentinel://{}/other", first.address());
    let instance = Instance::start(at(&url), &library).await;
    instance
        .is_bypassed_because(&["monitors no primary named `other`"])
        .await;
    assert_eq!(instance.tier(1).await, Tier::Source);
}

#[tokio::test]
async fn a_server_that_is_no_sentinel_is_named() {
    let redis = redis();
    let library = Library::of(3);
    let url = format!("redis+sentinel://{}/main", redis.address());
    let instance = Instance::start(at(&url), &library).await;
    instance
        .is_bypassed_because(&["the server is no Sentinel"])
        .await;
}

#[tokio::test]
async fn sentinels_and_servers_have_passwords_of_their_own() {
    let group = RedisSentinel::start_with(SentinelOptions {
        sentinel_password: Some("watch".to_owned()),
        server: RedisOptions {
            password: Some("data".to_owned()),
            config: vec!["masterauth data".to_owned()],
            ..Default::default()
        },
        ..SentinelOptions::default()
    })
    .expect("redis-server or valkey-server");
    let library = Library::of(3);
    let refused = Instance::start(at(&group.url()), &library).await;
    refused
        .is_bypassed_because(&["REDIS_SENTINEL_PASSWORD"])
        .await;
    let config = CacheConfig {
        redis_sentinel_password: Some(Secret::new("watch")),
        ..at(&group.url())
    };
    Instance::in_step(config, &library).await.caches(1).await;
}

#[tokio::test]
async fn a_dropped_or_closed_service_leaves_every_sentinel() {
    let group = sentinels();
    let library = Library::of(3);
    for is_closed in [false, true] {
        let instance = Instance::in_step(at(&group.url()), &library).await;
        for sentinel in group.sentinels() {
            eventually(EVENTUALLY, "a question", async || 0 < connections(sentinel)).await;
        }
        let closed = is_closed.then(|| instance.cache.clone());
        match closed {
            Some(cache) => cache.close().await,
            None => drop(instance),
        }
        for server in group.sentinels().iter().chain(group.servers()) {
            eventually(EVENTUALLY, "no connection", async || {
                connections(server) == 0
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_failover_is_followed_over_tls() {
    let authority = Authority::new();
    let group = RedisSentinel::start_with(SentinelOptions {
        server: RedisOptions {
            tls: Some(RedisTls::new(&authority)),
            ..RedisOptions::default()
        },
        ..SentinelOptions::default()
    })
    .expect("redis-server or valkey-server with TLS");
    let url = group.url();
    assert!(url.starts_with("rediss+sentinel://"), "{url}");
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let config = CacheConfig {
        redis_tls_ca: Some(ca),
        ..at(&url)
    };
    let library = Library::of(3);
    let instance = Instance::in_step(config, &library).await;
    instance.caches(1).await;
    group.servers()[0].kill();
    replaced(&group, 0).await;
    instance.resumes().await;
    instance.caches(1).await;
}
