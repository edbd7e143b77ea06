//! What callers see when Redis is slow, broken, full, somebody else or away.
//!
//! Each test puts a real server, or the way to it, to one fault, and its name
//! is the row of `docs/faults.md` that it keeps true.

mod another_process;
mod audit;
mod breaker;
mod endings;
mod histories;
mod killed_writer;
mod large_values;
mod library;
mod listener;
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
mod sizes;
mod stopped_instance;
mod storms;
mod values;
mod voices;

use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, Freshness, Repository, Secret, Tier};
use aside_testkit::{Proxy, RedisServer, eventually};

use self::library::{Book, Library};

/// What the product promises after a fault has gone.
const RESUMES_WITHIN: Duration = Duration::from_secs(2);

/// The deadline of one operation, and what a busy machine adds to it.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_millis(250 + 250);

/// An answer that waits for nothing, on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Long enough for anything that will happen at all.
const EVENTUALLY: Duration = Duration::from_secs(10);

fn redis() -> RedisServer {
    RedisServer::start().expect("redis-server or valkey-server")
}

/// A way to `redis` that can be broken.
async fn way_to(redis: &RedisServer) -> Proxy {
    Proxy::start(redis.address()).await.expect("a free port")
}

/// Settings for a service that gives a silent connection up soon.
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

    /// The same, once values may come from Redis.
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

    /// Who answers a read of book `id` now; it must be as the library has it.
    async fn tier(&self, id: u32) -> Tier {
        let expected = self.books.source().title(id);
        let answer = self.books.find_by_id_with(&id, Freshness::Any).await;
        let answer = answer.expect("a read never fails for the cache");
        let title = answer.value.map(|book| book.title.clone());
        assert_eq!(title, expected, "book {id}");
        answer.tier
    }

    /// Waits until book `id` comes from a cache; how long that took. Every
    /// answer meanwhile must be as the library has it.
    async fn caches(&self, id: u32) -> Duration {
        let begun = Instant::now();
        eventually(EVENTUALLY, "an answer from the cache", async || {
            self.tier(id).await != Tier::Source
        })
        .await;
        begun.elapsed()
    }

    /// How often an error was counted under `label`.
    fn errors(&self, label: &str) -> u64 {
        self.cache.stats().errors.get(label).copied().unwrap_or(0)
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    (work.await, begun.elapsed())
}

/// Says what was measured, for whoever runs the tests with their output.
fn measured(what: &str, time: Duration) {
    eprintln!("measured: {what}: {time:?}");
}

/// How many connections of services a server has: those that speak RESP3, as
/// these tests do not. Servers before 7.2 know no names of libraries.
fn connections(redis: &RedisServer) -> usize {
    let clients = redis.command(&["CLIENT", "LIST"]);
    let clients = clients.text().expect("a list").lines();
    clients.filter(|client| client.contains("resp=3")).count()
}
