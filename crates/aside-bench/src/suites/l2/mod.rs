//! Hits in Redis, beside a bare socket and a bare client.

mod latency;
mod throughput;

use std::time::Duration;

use aside::{
    CacheConfig, CacheService, CachedRepository, Freshness, Source, Tier, settings::Settings,
};
use aside_testkit::RedisServer;
use uuid::Uuid;

use crate::error::Wrong;
use crate::heroes::{Hero, Heroes, InMemory, id};
use crate::rounds::undisturbed;
use crate::stories::Story;
use crate::table::Table;
use crate::{cores, servers};

/// How many heroes there are: the length of the list.
const HEROES: u64 = 1_000;

/// The length that makes a hero about 600 bytes of JSON.
const APPEARANCE_BYTES: usize = 518;

pub(crate) fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let redis = servers::redis()?;
    let transports = [("TCP", redis.url()), ("unix socket", redis.unix_url())];
    let mut tables = Vec::new();
    for (transport, url) in &transports {
        tables.extend(latency::run(&redis, transport, url, quick)?);
        tables.extend(throughput::run(&redis, transport, url, quick)?);
    }
    Ok(tables)
}

/// The library over one Redis, without a local tier; all rows are already in
/// Redis.
struct Stage {
    heroes: CachedRepository<Heroes>,
    stories: CachedRepository<InMemory<Story>>,
}

impl Stage {
    async fn set(url: &str) -> Result<Self, Wrong> {
        let settings = Settings::from_pairs([
            ("REDIS_URL", url),
            ("CACHE_MAX_STALENESS_MS", "0"),
            ("CACHE_OPERATION_TIMEOUT_MS", "5000"),
        ]);
        let config = CacheConfig::from_settings(&settings);
        let config = config.map_err(|error| Wrong(error.to_string()))?;
        let cache = CacheService::connect(config).await;
        let heroes = Heroes::of(HEROES, APPEARANCE_BYTES, Duration::ZERO);
        let stories = InMemory::holding((0..10).map(Story::new), Duration::ZERO);
        let stage = Self {
            heroes: CachedRepository::new(heroes, &cache),
            stories: CachedRepository::new(stories, &cache),
        };
        stage.fill().await?;
        Ok(stage)
    }

    /// Reads until every row comes from Redis and equals the database's.
    async fn fill(&self) -> Result<(), Wrong> {
        let ids: Vec<Uuid> = (0..HEROES).map(id).collect();
        let Ok(_) = self.heroes.find_many(&ids).await;
        for number in (0..HEROES).step_by(50) {
            let expected = Hero::new(number, APPEARANCE_BYTES);
            let read = async || {
                self.heroes
                    .find_by_id_with(&id(number), Freshness::Any)
                    .await
            };
            if until_shared(read).await?.is_none_or(|row| *row != expected) {
                return Err(Wrong(format!("hero {number} is not as it was stored")));
            }
        }
        let read = async || self.stories.find_by_id_with(&id(0), Freshness::Any).await;
        if until_shared(read)
            .await?
            .is_none_or(|row| *row != Story::new(0))
        {
            return Err(Wrong("the story is not as it was stored".to_owned()));
        }
        let read = async || self.heroes.list_all_with(Freshness::Any).await;
        match until_shared(read).await?.len() as u64 {
            HEROES => Ok(()),
            count => Err(Wrong(format!("the list of all has {count} rows"))),
        }
    }

    /// Returns how many reads the databases have served.
    fn reads(&self) -> u64 {
        self.heroes.source().reads() + self.stories.source().reads()
    }

    /// Repeats a round until all of it was served by Redis.
    async fn all_hits<T>(&self, mut round: impl AsyncFnMut() -> T) -> T {
        undisturbed(async || {
            let before = self.reads();
            let outcome = round().await;
            (self.reads() == before).then_some(outcome)
        })
        .await
    }
}

/// Reads until Redis serves the row.
async fn until_shared<T, X: std::fmt::Debug>(
    read: impl AsyncFn() -> Result<aside::Answer<T>, X>,
) -> Result<T, Wrong> {
    for _ in 0..5_000 {
        let answer = read().await.expect("a database in memory does not fail");
        if answer.tier == Tier::Shared {
            return Ok(answer.value);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(Wrong("a row that was read is not in Redis".to_owned()))
}

/// Returns the key of a hero in Redis.
fn hero_key(id: Uuid) -> String {
    format!("hero:{id}")
}

/// Measures in a separate thread, with server and client on one core if that is
/// possible. The argument of `measure` describes the place.
fn on_one_core<T: Send>(
    redis: &RedisServer,
    transport: &str,
    measure: impl FnOnce(String) -> T + Send,
) -> T {
    let process = process_of(redis);
    let measured = cores::apart(|| {
        let pinned = cores::share_one(process);
        let cores = if pinned { "on one core" } else { "not pinned" };
        measure(format!("{transport}, server and client {cores}"))
    });
    cores::share_all(process);
    measured
}

/// Returns the process id of a server.
fn process_of(redis: &RedisServer) -> u32 {
    let info = redis.info("server");
    let id = info.get("process_id").and_then(|id| id.parse().ok());
    id.expect("a server reports its process id")
}
