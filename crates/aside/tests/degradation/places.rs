//! The possible places of the cache, and services without one.

use aside::Bypass;
use aside_testkit::RedisOptions;
use tokio::task::JoinSet;

use super::*;

/// Checks that two instances of one service stay in step.
async fn stay_in_step(one: &Instance, other: &Instance) {
    one.caches(1).await;
    other.caches(1).await;
    let change = one.books.update(Book::new(1, "changed"));
    assert!(change.await.unwrap().is_some());
    let heard = async || {
        let book = other.books.find_by_id(&1).await.unwrap();
        book.unwrap().title == "changed"
    };
    eventually(EVENTUALLY, "the message of the change", heard).await;
    let loads = one.books.source().loads();
    one.caches(1).await;
    other.caches(1).await;
    let more = one.books.source().loads() - loads;
    assert!(more <= 1, "loaded {more} times for two instances");
}

#[tokio::test]
async fn a_disabled_cache_reads_and_writes_and_never_connects() {
    let redis = redis();
    let library = Library::of(3);
    let config = CacheConfig {
        redis_enabled: false,
        ..at(&redis.url())
    };
    let instance = Instance::start(config, &library).await;
    for _ in 0..2 {
        let answer = instance.books.find_by_id_with(&1, Freshness::Any).await;
        assert_eq!(answer.unwrap().bypass, Some(Bypass::Disabled));
    }
    let change = instance.books.update(Book::new(1, "changed"));
    assert!(change.await.unwrap().is_some());
    assert_eq!(instance.tier(1).await, Tier::Source);
    assert_eq!(connections(&redis), 0);
    assert!(instance.cache.stats().errors.is_empty());
}

#[tokio::test]
async fn without_a_local_tier_every_read_uses_redis() {
    let redis = redis();
    let library = Library::of(3);
    let config = CacheConfig {
        max_staleness: Duration::ZERO,
        ..at(&redis.url())
    };
    let instance = Instance::in_step(config, &library).await;
    instance.caches(1).await;
    redis.reset_stats();
    for _ in 0..10 {
        assert_eq!(instance.tier(1).await, Tier::Shared);
    }
    assert_eq!(redis.calls("get"), 10);
    assert_eq!(instance.cache.stats().kinds[0].l1_entries, 0);
}

#[tokio::test]
async fn services_in_one_process_share_a_named_memory() {
    let library = Library::of(3);
    let config = || at("memory://degradation-in-step");
    let one = Instance::in_step(config(), &library).await;
    let other = Instance::in_step(config(), &library).await;
    stay_in_step(&one, &other).await;
}

#[tokio::test]
async fn a_private_memory_is_not_shared() {
    let library = Library::of(3);
    let one = Instance::in_step(at("memory://"), &library).await;
    let other = Instance::in_step(at("memory://"), &library).await;
    one.caches(1).await;
    assert_eq!(other.tier(1).await, Tier::Source);
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let redis = RedisServer::start_with(RedisOptions {
        password: Some("open sesame".into()),
        ..RedisOptions::default()
    });
    let redis = redis.expect("redis-server or valkey-server");
    let library = Library::of(3);
    let one = Instance::in_step(at(&redis.unix_url()), &library).await;
    let other = Instance::in_step(at(&redis.url()), &library).await;
    stay_in_step(&one, &other).await;
}

#[tokio::test]
async fn the_password_setting_overrides_the_password_in_the_url() {
    let redis = RedisServer::start_with(RedisOptions {
        password: Some("right".into()),
        ..RedisOptions::default()
    });
    let redis = redis.expect("redis-server or valkey-server");
    let library = Library::of(3);
    let config = CacheConfig {
        redis_password: Some(Secret::new("right")),
        ..at(&redis.url().replace(":right@", ":wrong@"))
    };
    Instance::in_step(config, &library).await.caches(1).await;
}

#[tokio::test]
async fn values_are_stored_in_the_requested_database() {
    let redis = redis();
    let library = Library::of(3);
    let config = CacheConfig {
        redis_db: Some(3),
        ..at(&redis.url())
    };
    let instance = Instance::in_step(config, &library).await;
    instance.caches(1).await;
    let keyspace = redis.info("keyspace");
    assert!(keyspace.contains_key("db3"), "{keyspace:?}");
    assert!(!keyspace.contains_key("db0"), "{keyspace:?}");
}

#[tokio::test]
async fn services_of_different_namespaces_are_isolated() {
    let redis = redis();
    let (library, other_library) = (Library::of(3), Library::of(3));
    let of = |namespace: &str| CacheConfig {
        namespace: namespace.to_owned(),
        ..at(&redis.url())
    };
    let one = Instance::in_step(of("one"), &library).await;
    let other = Instance::in_step(of("other"), &other_library).await;
    one.caches(1).await;
    other.caches(1).await;
    assert_eq!(
        redis
            .command(&["EXISTS", "one:book:1", "other:book:1"])
            .integer(),
        Some(2)
    );

    one.books.update(Book::new(1, "changed")).await.unwrap();
    one.cache.flush().await;
    assert_eq!(
        redis.command(&["EXISTS", "other:book:1"]).integer(),
        Some(1)
    );
    assert_eq!(other.tier(1).await, Tier::Local);
}

#[tokio::test]
async fn no_more_connections_are_open_than_permitted() {
    let redis = redis();
    let library = Library::of(100);
    for most in [2, 3, 10] {
        let config = CacheConfig {
            redis_max_connections: most,
            ..at(&redis.url())
        };
        let instance = Instance::in_step(config, &library).await;
        for turn in 0..3 {
            let mut reads = JoinSet::new();
            for id in 1..=100 {
                let books = instance.books.clone();
                reads.spawn(async move { books.find_by_id_with(&id, Freshness::Shared).await });
            }
            while let Some(read) = reads.join_next().await {
                assert!(read.unwrap().unwrap().value.is_some());
            }
            assert!(connections(&redis) <= most);
            // Lost connections are replaced, and no further ones are added.
            if turn == 0 {
                redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
                instance.resumes().await;
            }
        }
        drop(instance);
        eventually(EVENTUALLY, "the end of all connections", async || {
            connections(&redis) == 0
        })
        .await;
    }
}
