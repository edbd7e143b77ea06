//! The environment: a database, one Redis per test, and instances of a service
//! in front of both.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aside::settings::PrefetchMode;
use aside::{CacheConfig, CacheService, CachedRepository, Repository, Secret, report::Ttl};
use aside_testkit::{RedisOptions, RedisServer, eventually};

use crate::database::Table;
use crate::entities::{Book, Hero};
use crate::tap::Tap;

/// The longest wait for an event that must happen soon.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) struct World {
    redis: Option<RedisServer>,
    url: String,
    pub(crate) heroes: Table<Hero>,
    pub(crate) books: Table<Book>,
}

/// One process of the service, as far as the library can distinguish.
pub(crate) struct Instance {
    pub(crate) cache: CacheService,
    pub(crate) heroes: CachedRepository<Table<Hero>>,
    pub(crate) books: CachedRepository<Table<Book>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(RedisOptions::default())
    }

    /// Creates a world whose Redis has these settings.
    pub(crate) fn with(options: RedisOptions) -> Self {
        let redis = RedisServer::start_with(options).expect("redis-server is installed");
        // As in an existing deployment. The first use of a kind that is new to
        // a server costs a round trip for its epoch.
        for kind in ["hero", "book"] {
            redis.command(&["HSET", "aside:epochs", kind, "0000000000001"]);
        }
        let url = redis.url();
        Self::at(Some(redis), url)
    }

    /// Creates a world without a server; the promises are the same.
    pub(crate) fn in_memory() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::at(None, format!("memory://it-{number}"))
    }

    fn at(redis: Option<RedisServer>, url: String) -> Self {
        Self {
            redis,
            url,
            heroes: Table::new(),
            books: Table::new(),
        }
    }

    /// Generous, so that a busy machine is not taken for a slow Redis.
    pub(crate) fn config(&self) -> CacheConfig {
        CacheConfig {
            redis_url: Secret::new(&self.url),
            operation_timeout: Duration::from_secs(5),
            max_staleness: Duration::from_secs(60),
            // Tests count commands.
            heartbeat: Duration::ZERO,
            prefetch: PrefetchMode::Off,
            // Their operations are none of the callers': see `warm_ups`.
            hot_set: false,
            warm_up: None,
            ..CacheConfig::default()
        }
    }

    pub(crate) async fn instance(&self) -> Instance {
        self.instance_with(self.config()).await
    }

    pub(crate) async fn instance_with(&self, config: CacheConfig) -> Instance {
        let cache = CacheService::connect(config).await;
        eventually(SOON, "a healthy Redis", async || cache.is_synced()).await;
        Instance {
            heroes: CachedRepository::new(self.heroes.clone(), &cache),
            books: CachedRepository::new(self.books.clone(), &cache),
            cache,
        }
    }

    /// Returns two instances, and the cache of each around one repository.
    pub(crate) async fn two_over<R: Repository + Clone>(
        &self,
        source: &R,
    ) -> ([Instance; 2], [CachedRepository<R>; 2]) {
        let instances = [self.instance().await, self.instance().await];
        let caches = instances
            .each_ref()
            .map(|instance| CachedRepository::new(source.clone(), &instance.cache));
        (instances, caches)
    }

    /// Returns an instance whose traffic with Redis is recorded.
    pub(crate) async fn tapped(&self) -> (Tap, Instance) {
        self.tapped_with(self.config()).await
    }

    pub(crate) async fn tapped_with(&self, config: CacheConfig) -> (Tap, Instance) {
        let tap = Tap::start(self.redis().address()).await;
        let config = CacheConfig {
            redis_url: Secret::new(tap.url()),
            ..config
        };
        let instance = self.instance_with(config).await;
        // The epochs of kinds that were made after the first PING.
        eventually(SOON, "epochs", async || tap.has_learnt("book")).await;
        tap.forget();
        (tap, instance)
    }

    pub(crate) fn redis(&self) -> &RedisServer {
        self.redis.as_ref().expect("a world with a Redis")
    }

    /// Returns the text under a key, if there is any.
    pub(crate) fn raw(&self, key: &str) -> Option<String> {
        self.redis()
            .command(&["GET", key])
            .text()
            .map(str::to_owned)
    }

    /// Returns the state of a key as one letter: a `V`alue, a `L`ease, a
    /// `Q`uarantine; `-` if it does not exist.
    pub(crate) fn state(&self, key: &str) -> char {
        self.raw(key)
            .and_then(|text| text.chars().next())
            .unwrap_or('-')
    }

    /// Waits until a key has a value, because a leader's read returns before
    /// the fill.
    pub(crate) async fn filled(&self, key: &str) {
        eventually(SOON, "a value", async || self.state(key) == 'V').await;
    }

    /// Returns the keys of all kinds.
    pub(crate) fn keys(&self) -> Vec<String> {
        let aside_testkit::Reply::Array(keys) = self.redis().command(&["KEYS", "*"]) else {
            panic!("KEYS returns a list");
        };
        let mut keys: Vec<String> = keys
            .iter()
            .map(|key| key.text().expect("keys are text").to_owned())
            .filter(|key| !key.ends_with("aside:epochs"))
            .collect();
        keys.sort_unstable();
        keys
    }
}

impl Instance {
    /// Returns true if a value is cached, in any tier.
    pub(crate) async fn holds(&self, key: &str) -> bool {
        matches!(self.cache.ttl(key).await, Ttl::Left(_))
            && self
                .cache
                .explain(key)
                .await
                .state
                .map(|state| state.as_str())
                == Some("value")
    }

    /// Waits until a value is cached.
    pub(crate) async fn filled(&self, key: &str) {
        eventually(SOON, "a value", async || self.holds(key).await).await;
    }

    /// Returns how often the label was counted as an error.
    pub(crate) fn errors(&self, label: &str) -> u64 {
        self.cache.stats().errors.get(label).copied().unwrap_or(0)
    }
}

/// Runs a scenario on a real Redis, and once more in memory.
pub(crate) async fn on_both(scene: impl AsyncFn(World)) {
    scene(World::new()).await;
    scene(World::in_memory()).await;
}
