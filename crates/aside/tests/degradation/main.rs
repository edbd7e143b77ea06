//! The results for callers when Redis is slow, broken, full, replaced or down.
//!
//! Each test injects one fault into a real server or the network, and is named
//! in its row of `docs/faults.md`.

mod another_process;
mod breaker;
mod clusters;
mod endings;
mod histories;
mod library;
mod killed_writer;
mod large_values;
mod listener;
mod cluster_refusals;
mod audit;
mod loads;
mod mute_server;
mod nested;
mod network;
mod operators;
mod outages;
mod passwords;
mod places;
mod pressure;
mod refusals;
mod runtimes;
mod sentences;
mod sentinels;
mod sizes;
mod stopped_instance;
mod storms;
mod values;
mod voices;

use std::time::{Duration, Instant};

use aside::{
    CacheConfig, CacheService, CachedRepository, Freshness, Repository, Secret, Source, Tier,
};
use aside_testkit::{Proxy, RedisServer, eventually};

use self::library::{Book, Library};

/// The promised time of recovery after a fault.
const RESUMES_WITHIN: Duration = Duration::from_secs(2);

/// The deadline of one operation, and the extra time of a busy machine.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_millis(250 + 250);

/// A read that does not wait, on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Long enough for any event that will happen.
const EVENTUALLY: Duration = Duration::from_secs(10);

fn redis() -> RedisServer {
    RedisServer::start().expect("redis-server or valkey-server")
}

/// A proxy in front of `redis`.
async fn way_to(redis: &RedisServer) -> Proxy {
    Proxy::start(redis.address()).await.expect("a free port")
}

/// Settings for a service that soon gives a silent connection up.
fn through(proxy: &Proxy) -> CacheConfig {
    CacheConfig {
        redis_socket_timeout: Duration::from_millis(500),
        ..at(&format!("redis://{}/0", proxy.address()))
    }
}

fn at(url: &str) -> CacheConfig {
    CacheConfig {
        redis_url: Secret::new(url),
        ..CacheConfig::default()
    }
}

/// An instance of a service: its cache, and the library behind it.
struct Instance {
    cache: CacheService,
    books: CachedRepository<Library>,
}

impl Instance {
    async fn start(config: CacheConfig, library: &Library) -> Self {
        let cache = CacheService::connect(config).await;
        let books = CachedRepository::new(library.clone(), &cache);
        Self { cache, books }
    }

    /// Starts an instance and waits until values may come from Redis.
    async fn in_step(config: CacheConfig, library: &Library) -> Self {
        let instance = Self::start(config, library).await;
        instance.resumes().await;
        instance
    }

    /// Waits until values may come from Redis.
    async fn resumes(&self) {
        eventually(EVENTUALLY, "a service in step with Redis", async || {
            self.cache.is_synced()
        })
        .await;
    }

    /// Returns the tier that serves book `id` now; the book must equal the
    /// library's.
    async fn tier(&self, id: u32) -> Tier {
        let expected = self.books.source().title(id);
        let answer = self.books.find_by_id_with(&id, Freshness::Any).await;
        let answer = answer.expect("a read never fails for the cache");
        let title = answer.value.map(|book| book.title.clone());
        assert_eq!(title, expected, "book {id}");
        answer.tier
    }

    /// Waits until book `id` comes from a cache. Returns how long that took.
    /// Every book read in the meantime must equal the library's.
    async fn caches(&self, id: u32) -> Duration {
        let begun = Instant::now();
        eventually(EVENTUALLY, "a row from the cache", async || {
            self.tier(id).await != Tier::Source
        })
        .await;
        begun.elapsed()
    }

    /// Returns why Redis is bypassed; empty if it is not.
    async fn reason(&self) -> String {
        self.cache.health_check().await.reason.unwrap_or_default()
    }

    /// Waits until the reason of a bypass contains these texts.
    async fn is_bypassed_because(&self, texts: &[&str]) {
        eventually(EVENTUALLY, "the reason", async || {
            let reason = self.reason().await;
            texts.iter().all(|text| reason.contains(text))
        })
        .await;
    }

    /// Returns how often an error was counted under `label`.
    fn errors(&self, label: &str) -> u64 {
        self.cache.stats().errors.get(label).copied().unwrap_or(0)
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    (work.await, begun.elapsed())
}

/// Prints a measurement, for runs that show the output of tests.
fn measured(what: &str, time: Duration) {
    eprintln!("measured: {what}: {time:?}");
}

/// Returns how many connections of services a server has: those that speak
/// RESP3, unlike these tests. Servers before 7.2 do not report library names.
fn connections(redis: &RedisServer) -> usize {
    let clients = redis.command(&["CLIENT", "LIST"]);
    let clients = clients.text().expect("a list").lines();
    clients.filter(|client| client.contains("resp=3")).count()
}
