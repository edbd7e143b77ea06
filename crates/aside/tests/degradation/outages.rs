//! Redis is missing, dies, or stops replying.

use aside::Bypass;
use aside_testkit::RedisOptions;

use super::*;

#[tokio::test]
async fn connecting_without_redis_takes_at_most_one_operation() {
    let redis = redis();
    redis.kill();
    let library = Library::of(3);
    let (instance, took) = timed(Instance::start(at(&redis.url()), &library)).await;
    assert!(took < FIRST_ANSWER_WITHIN, "{took:?}");
    assert!(!instance.cache.is_synced());
}

#[tokio::test]
async fn a_service_started_without_redis_caches_once_it_starts() {
    let redis = redis();
    redis.kill();
    let library = Library::of(3);
    let instance = Instance::start(at(&redis.url()), &library).await;
    let (tier, took) = timed(instance.tier(1)).await;
    assert_eq!(tier, Tier::Source);
    assert!(took < AT_ONCE, "{took:?}");
    let written = instance.books.save(Book::new(4, "new"));
    let (written, took) = timed(written).await;
    assert_eq!(written.unwrap().title, "new");
    assert!(took < AT_ONCE, "{took:?}");

    redis.restart();
    let untouched = instance.caches(1).await;
    let held = instance.caches(4).await;
    measured("start of an absent Redis to cached reads", untouched + held);
    assert!(untouched + held < RESUMES_WITHIN, "{untouched:?}, {held:?}");
}

#[tokio::test]
async fn reads_and_writes_survive_a_killed_redis_until_it_returns() {
    killed_and_restarted(RedisOptions::default()).await;
}

#[tokio::test]
async fn a_redis_restarted_with_its_values_serves_no_old_value() {
    killed_and_restarted(RedisOptions {
        appendonly: true,
        ..RedisOptions::default()
    })
    .await;
}

async fn killed_and_restarted(options: RedisOptions) {
    let kept = options.appendonly;
    let redis = RedisServer::start_with(options).expect("redis-server or valkey-server");
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    for id in 1..=2 {
        instance.caches(id).await;
    }

    redis.kill();
    // A book without a local entry.
    let (_, first) = timed(instance.tier(3)).await;
    measured("first read after a kill", first);
    assert!(first < FIRST_ANSWER_WITHIN, "{first:?}");
    eventually(EVENTUALLY, "the loss to be noticed", async || {
        instance.tier(1).await == Tier::Source
    })
    .await;
    let change = instance.books.update(Book::new(2, "changed"));
    let (changed, took) = timed(change).await;
    assert!(changed.unwrap().is_some());
    assert!(took < AT_ONCE, "{took:?}");
    for id in 1..=3 {
        let (_, took) = timed(instance.tier(id)).await;
        assert!(took < AT_ONCE, "{took:?}");
    }

    redis.restart();
    let (begun, loads) = (Instant::now(), library.loads());
    instance.caches(2).await;
    instance.caches(1).await;
    instance.caches(3).await;
    measured("restart to cached reads", begun.elapsed());
    assert!(begun.elapsed() < RESUMES_WITHIN, "{:?}", begun.elapsed());
    assert_eq!(redis.command(&["EXISTS", "book:1"]).integer(), Some(1));
    assert!(library.loads() > loads || kept, "an empty Redis had values");
}

#[tokio::test]
async fn a_stopped_redis_delays_only_the_first_read_and_no_write() {
    let redis = redis();
    let library = Library::of(20);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;

    redis.stop();
    // A book without a local entry.
    let (tier, first) = timed(instance.tier(2)).await;
    measured("first read after a stop", first);
    assert_eq!(tier, Tier::Source);
    assert!(first < FIRST_ANSWER_WITHIN, "{first:?}");
    for id in 1..=20 {
        let (tier, took) = timed(instance.tier(id)).await;
        assert_eq!(tier, Tier::Source);
        assert!(took < AT_ONCE, "book {id}: {took:?}");
        let (written, took) = timed(instance.books.update(Book::new(id, "changed"))).await;
        assert!(written.unwrap().is_some());
        assert!(took < AT_ONCE, "book {id}: {took:?}");
    }
    redis.cont();
}

#[tokio::test]
async fn an_unacknowledged_write_to_a_stopped_redis_is_read_back() {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    for id in 1..=3 {
        instance.caches(id).await;
    }

    redis.stop();
    // Its QUARANTINE is sent, and waits in the server's socket.
    let ambiguous = instance.books.update(Book::new(1, "sent and unanswered"));
    let (_, took) = timed(ambiguous).await;
    assert!(took < FIRST_ANSWER_WITHIN, "{took:?}");
    // No command of this write is sent.
    let (_, took) = timed(instance.books.update(Book::new(2, "never sent"))).await;
    assert!(took < AT_ONCE, "{took:?}");
    let held = instance.books.find_by_id_with(&2, Freshness::Any);
    let bypass = held.await.unwrap().bypass;
    assert!(matches!(
        bypass,
        Some(Bypass::Unreleased | Bypass::RedisUnavailable)
    ));

    redis.cont();
    let begun = Instant::now();
    for id in 1..=3 {
        instance.caches(id).await;
    }
    measured(
        "continuing a stopped Redis to cached reads",
        begun.elapsed(),
    );
    assert!(begun.elapsed() < RESUMES_WITHIN, "{:?}", begun.elapsed());
    assert_eq!(instance.cache.health_check().await.unreleased_keys, 0);
}

#[tokio::test]
async fn caching_resumes_as_soon_with_a_long_staleness_bound() {
    let redis = redis();
    let library = Library::of(3);
    let config = CacheConfig {
        max_staleness: Duration::from_secs(60),
        ..at(&redis.url())
    };
    let instance = Instance::in_step(config, &library).await;
    instance.caches(1).await;
    redis.stop();
    assert_eq!(instance.tier(2).await, Tier::Source);
    assert!(!instance.cache.is_synced());
    redis.cont();
    let took = instance.caches(1).await + instance.caches(2).await;
    assert!(took < RESUMES_WITHIN, "{took:?}");
}
