//! What an operator reads: the log, health and counters name the server, the
//! reason and the consequence, and neither a key nor a secret.

use aside::report::HealthStatus;
use aside_testkit::RedisOptions;
use tracing::Level;

use super::listener::Listener;
use super::*;

const OF_THE_CACHE: &[&str] = &[
    "Redis ",
    "no connection to Redis",
    "the cache starts",
    "not invalidated yet",
    "invalidated",
    "written; ",
    "CACHE_",
];

fn listen() -> (Listener, tracing::subscriber::DefaultGuard) {
    let listener = Listener::of(Level::INFO, OF_THE_CACHE);
    let installed = tracing::subscriber::set_default(listener.clone());
    (listener, installed)
}

/// Waits for a line that contains `text`, and returns it.
async fn line_with(listener: &Listener, text: &str) -> String {
    eventually(EVENTUALLY, &format!("a line with {text}"), async || {
        let heard = listener.heard().into_iter();
        heard.map(|(_, said)| said).find(|said| said.contains(text))
    })
    .await
}

#[tokio::test]
async fn the_words_of_a_server_explain_its_refusal() {
    let (listener, _installed) = listen();
    let redis = redis();
    let config = at(&format!("redis://{}/99", redis.address()));
    let instance = Instance::start(config, &Library::of(3)).await;
    let said = line_with(&listener, "DB index is out of range").await;
    assert!(said.contains("REDIS_DB"), "{said}");
    instance
        .is_bypassed_because(&["DB index is out of range"])
        .await;
}

#[tokio::test]
async fn a_missing_right_is_named_by_its_command() {
    let redis = redis();
    redis.command(&[
        "ACL",
        "SETUSER",
        "tales",
        "on",
        ">sesame",
        "~*",
        "&*",
        "+@all",
        "-script|load",
    ]);
    let config = CacheConfig {
        redis_username: Some("tales".into()),
        redis_password: Some(Secret::new("sesame")),
        ..at(&redis.url())
    };
    let instance = Instance::start(config, &Library::of(3)).await;
    instance
        .is_bypassed_because(&["NOPERM", "script|load command"])
        .await;
}

#[tokio::test]
async fn every_line_of_an_outage_names_the_server_and_no_password() {
    let (listener, _installed) = listen();
    let redis = RedisServer::start_with(RedisOptions {
        password: Some("sesame".into()),
        ..RedisOptions::default()
    });
    let redis = redis.expect("redis-server or valkey-server");
    let (address, library) = (redis.address(), Library::of(3));
    let config = at(&format!("redis://:sesame@{address}/3"));
    let instance = Instance::in_step(config, &library).await;
    let server = format!("{address}/3");
    let health = instance.cache.health_check().await;
    let named = health.server.expect("a server");
    assert_eq!(named.to_string(), server);
    assert!(health.unused_for.is_none() && health.proof_age < Some(AT_ONCE * 5));
    redis.kill();
    line_with(&listener, "no connection to Redis").await;
    redis.restart();
    instance.resumes().await;
    redis.kill();
    let heard = eventually(EVENTUALLY, "the lines of an outage", async || {
        let heard = listener.heard();
        heard
            .iter()
            .any(|(_, said)| said.contains("Redis bypassed"))
            .then_some(heard)
    })
    .await;
    for (_, said) in heard {
        let named = said.contains(&server) || said.contains("new history");
        assert!(named && !said.contains("sesame"), "{said}");
    }
    let health = instance.cache.health_check().await;
    assert!(health.reason.is_some() && health.unused_for.is_some());
    assert_eq!(health.server.expect("a server").to_string(), server);
}

#[tokio::test]
async fn a_full_redis_is_logged_once_and_shown_until_it_is_over() {
    let (listener, _installed) = listen();
    let redis = redis();
    let library = Library::of(20);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(1).await;
    redis.set_config("maxmemory", "1mb");
    for id in 2..=20 {
        assert_eq!(instance.tier(id).await, Tier::Source);
    }
    let health = eventually(EVENTUALLY, "a full Redis", async || {
        let health = instance.cache.health_check().await;
        (health.status == HealthStatus::Full).then_some(health)
    })
    .await;
    assert!(health.reason.unwrap().contains("Redis is full"));
    assert!(instance.cache.is_synced(), "what is there is served");
    let full = listener.heard().into_iter();
    let full = full.filter(|(_, said)| said.contains("Redis is full"));
    assert_eq!(full.count(), 1);

    redis.set_config("maxmemory", "0");
    let mut id = 1;
    eventually(Duration::from_secs(20), "the end of it", async || {
        id = id % 20 + 1;
        instance.tier(id).await;
        instance.cache.health_check().await.status == HealthStatus::Healthy
    })
    .await;
    line_with(&listener, "Redis stores values again").await;
}

#[tokio::test]
async fn writes_during_an_outage_lose_no_quarantine() {
    let (listener, _installed) = listen();
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    redis.kill();
    eventually(EVENTUALLY, "the loss", async || !instance.cache.is_synced()).await;
    let change = instance.books.update(Book::new(1, "changed"));
    assert!(change.await.unwrap().is_some());
    line_with(&listener, "written; Redis has not acknowledged").await;
    let invalidated = instance.cache.invalidate_id("book", "2").await.unwrap();
    assert!(invalidated.pending && invalidated.keys == 0);
    let said = line_with(&listener, "not invalidated yet").await;
    assert!(said.contains("pending=true"), "{said}");

    redis.restart();
    instance.resumes().await;
    eventually(EVENTUALLY, "the invalidations", async || {
        instance.cache.health_check().await.unreleased_keys == 0
    })
    .await;
    assert_eq!(instance.cache.stats().releases_lost, 0);
}

#[tokio::test]
async fn an_abandoned_write_loses_no_quarantine() {
    let redis = redis();
    let config = CacheConfig {
        quarantine_ttl: Duration::from_secs(1),
        ..at(&redis.url())
    };
    let instance = Instance::in_step(config, &Library::of(3)).await;
    let mut write = instance.cache.write();
    write.updated(&Book::new(1, "tale 1"), &Book::new(1, "changed"));
    assert!(write.before_commit().await.is_empty());
    drop(write);
    eventually(EVENTUALLY, "the release", async || {
        redis.command(&["EXISTS", "book:1"]).integer() == Some(0)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(instance.cache.stats().releases_lost, 0);
}

#[tokio::test]
async fn a_miss_and_a_bypass_have_reasons() {
    let redis = redis();
    let library = Library::of(5);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    let reasons = || {
        let kinds = instance.cache.stats().kinds;
        let book = kinds.into_iter().find(|kind| kind.kind == "book");
        let book = book.expect("a kind");
        (book.miss_reasons, book.bypass_reasons)
    };
    instance.caches(1).await;
    instance.cache.invalidate_id("book", "1").await.unwrap();
    instance.tier(1).await;
    instance.caches(2).await;
    redis.command(&["DEL", "book:2"]);
    let evicted = instance.books.find_by_id_with(&2, Freshness::Shared);
    assert_eq!(evicted.await.unwrap().tier, Tier::Source);
    let requested = instance.books.find_by_id_with(&3, Freshness::Source);
    assert_eq!(requested.await.unwrap().tier, Tier::Source);
    let (misses, bypasses) = reasons();
    assert_eq!(misses.get("cold"), Some(&2), "{misses:?}");
    assert_eq!(misses.get("invalidated"), Some(&1), "{misses:?}");
    assert_eq!(misses.get("evicted"), Some(&1), "{misses:?}");
    assert_eq!(bypasses.get("requested"), Some(&1), "{bypasses:?}");

    redis.kill();
    eventually(EVENTUALLY, "the loss", async || !instance.cache.is_synced()).await;
    instance.tier(4).await;
    let (_, bypasses) = reasons();
    assert_eq!(bypasses.get("away"), Some(&1), "{bypasses:?}");
    let suspicions = instance.cache.stats().suspicions;
    assert!(suspicions.contains_key("disconnected"), "{suspicions:?}");
}

#[tokio::test]
async fn a_misspelled_setting_is_named_at_the_start() {
    let (listener, _installed) = listen();
    let settings = [("CACHE_BOOK_TLL", "5"), ("REDIS_URL", "memory://")];
    let settings = aside::settings::Settings::from_pairs(settings);
    let config = CacheConfig::from_settings(&settings).unwrap();
    let _instance = Instance::start(config, &Library::of(1)).await;
    let said = line_with(&listener, "CACHE_BOOK_TLL").await;
    assert!(said.contains("perhaps CACHE_BOOK_TTL is meant"), "{said}");
}
