//! Hits in Redis through other cache libraries, beside the bare client that
//! decodes and beside aside. The local tier is off if a library allows that.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::{Duration, Instant};

use amalgam::provider::{JsonSerializer, RedisDistributedCache};
use aside::{CacheConfig, CacheService, CachedRepository, Repository, Secret, Source};
use hitbox::{CacheContext, CacheKey, CacheValue};
use hitbox_backend::CacheBackend;
use hitbox_redis::{ConnectionMode, RedisBackend};
use multi_tier_cache::{CacheManager, CacheStrategy, CacheTier, RedisCache};
use redis::aio::MultiplexedConnection;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::error::Wrong;
use crate::heroes::{Hero, Heroes, id};
use crate::peers::{Cacheable, by_name, wrong};
use crate::rounds::{Contender, alternate};
use crate::table::Table;
use crate::{bare, servers};

/// How many rows are read, and their size.
const ROWS: u64 = 1_000;
const BYTES: usize = 600;
/// How many tasks read concurrently for the throughput.
const TASKS: u32 = 64;
const TTL: Duration = Duration::from_secs(86_400);

/// A client that finds a hero in Redis.
trait Reader: Send + Sync + 'static {
    fn find(&self, id: &Uuid) -> impl Future<Output = Option<Arc<Hero>>> + Send;
}

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let (reads, rounds) = if quick { (TASKS, 2) } else { (5_000, 7) };
    let redis = servers::redis()?;
    let url = &redis.url();
    let heroes: Vec<Hero> = (0..ROWS).map(|number| Hero::new(number, BYTES)).collect();
    let bare = Arc::new(Bare::filled(url, &heroes).await?);
    let aside = Arc::new(Aside::filled(url, &heroes).await?);
    let amalgam = Arc::new(Amalgam::filled(url, &heroes).await?);
    let hitbox = Arc::new(Hitbox::filled(url, &heroes).await?);
    let multi_tier = Arc::new(MultiTier::filled(url, &heroes).await?);
    let mut tables = Vec::new();
    let measures = [
        (
            format!("A hit in Redis, {BYTES} bytes, one after another: the median"),
            1,
        ),
        (
            format!("A hit in Redis, {BYTES} bytes, {TASKS} tasks: time by hits"),
            TASKS,
        ),
    ];
    for (title, tasks) in measures {
        let contenders = vec![
            contender("the bare client", &bare, tasks, reads),
            contender("aside", &aside, tasks, reads),
            contender("amalgam-cache", &amalgam, tasks, reads),
            contender("hitbox-redis", &hitbox, tasks, reads),
            contender("multi-tier-cache", &multi_tier, tasks, reads),
        ];
        let rows = alternate(rounds, contenders);
        tables.push(Table::new(title, "the bare client", rows));
    }
    if aside.0.source().reads() != 0 {
        return Err(Wrong("a hit in Redis read the database".to_owned()));
    }
    Ok(tables)
}

/// One task alone is measured by its median read, several by the total time of
/// all their reads.
fn contender<'a, R: Reader>(name: &str, reader: &Arc<R>, tasks: u32, reads: u32) -> Contender<'a> {
    let (reader, runtime) = (Arc::clone(reader), Handle::current());
    let operations = if tasks == 1 { 1 } else { reads / tasks * tasks };
    Contender::new(name, operations, move || {
        let begun = Instant::now();
        let running: Vec<_> = (0..tasks)
            .map(|_| runtime.spawn(read(Arc::clone(&reader), reads / tasks)))
            .collect();
        let medians = tokio::task::block_in_place(|| {
            runtime.block_on(async {
                let mut medians = Vec::new();
                for task in running {
                    medians.push(task.await.expect("every hero is found"));
                }
                medians
            })
        });
        if tasks == 1 {
            medians[0]
        } else {
            begun.elapsed()
        }
    })
}

/// Reads one row after another. Returns the median time.
async fn read<R: Reader>(reader: Arc<R>, reads: u32) -> Duration {
    let mut times = Vec::new();
    for _ in 0..reads {
        let id = id(fastrand::u64(..ROWS));
        let begun = Instant::now();
        let hero = reader.find(&id).await;
        times.push(begun.elapsed());
        assert!(hero.is_some_and(|hero| hero.id == id), "another hero");
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// One multiplexed connection, GET and serde_json: close to the minimum.
struct Bare(MultiplexedConnection);

impl Bare {
    async fn filled(url: &str, heroes: &[Hero]) -> Result<Self, Wrong> {
        let mut connection = bare::connect(url).await?;
        for hero in heroes {
            let value = serde_json::to_vec(hero).map_err(wrong)?;
            let mut set = redis::cmd("SET");
            set.arg(format!("bare:{}", hero.id)).arg(value);
            set.query_async::<()>(&mut connection)
                .await
                .map_err(wrong)?;
        }
        Ok(Self(connection))
    }
}

impl Reader for Bare {
    async fn find(&self, id: &Uuid) -> Option<Arc<Hero>> {
        let mut get = redis::cmd("GET");
        get.arg(format!("bare:{id}"));
        let value: Vec<u8> = get.query_async(&mut self.0.clone()).await.ok()?;
        serde_json::from_slice(&value).ok().map(Arc::new)
    }
}

/// Without a local tier. Another repository has filled Redis, so the measured
/// one never needs its database, which is empty.
struct Aside(CachedRepository<Heroes>);

impl Aside {
    async fn filled(url: &str, heroes: &[Hero]) -> Result<Self, Wrong> {
        let config = CacheConfig {
            redis_url: Secret::new(url),
            max_staleness: Duration::ZERO,
            // A busy machine must not make it bypass Redis.
            operation_timeout: Duration::from_secs(5),
            default_ttl: TTL,
            ..CacheConfig::default()
        };
        let filling = CacheService::connect(config.clone()).await;
        let source = Heroes::of(heroes.len() as u64, BYTES, Duration::ZERO);
        let filling = CachedRepository::new(source, &filling);
        for hero in heroes {
            let Ok(found) = filling.find_by_id(&hero.id).await;
            found.ok_or_else(|| Wrong("a hero is missing".to_owned()))?;
        }
        filling.cache().close().await;
        let service = CacheService::connect(config).await;
        let source = Heroes::of(0, BYTES, Duration::ZERO);
        Ok(Self(CachedRepository::new(source, &service)))
    }
}

impl Reader for Aside {
    async fn find(&self, id: &Uuid) -> Option<Arc<Hero>> {
        let Ok(found) = self.0.find_by_id(id).await;
        found
    }
}

/// Without the local tier and without tags, which would cost further reads; as
/// JSON.
struct Amalgam(amalgam::Cache<Hero>);

impl Amalgam {
    async fn filled(url: &str, heroes: &[Hero]) -> Result<Self, Wrong> {
        let shared = RedisDistributedCache::connect(url).await.map_err(wrong)?;
        let cache = amalgam::Cache::builder()
            .default_options(amalgam::EntryOptions::new(TTL).with_skip_memory(true, true))
            .distributed(Arc::new(shared))
            .serializer(Arc::new(JsonSerializer))
            .disable_tagging(true)
            .try_build()
            .map_err(wrong)?;
        for hero in heroes {
            cache
                .set(hero.id.to_string(), hero.clone())
                .await
                .map_err(wrong)?;
        }
        Ok(Self(cache))
    }
}

impl Reader for Amalgam {
    async fn find(&self, id: &Uuid) -> Option<Arc<Hero>> {
        let missing = |_| async { Err::<Hero, _>(std::io::Error::other("not held")) };
        let found = self
            .0
            .get_or_set(id.to_string(), missing)
            .into_future()
            .await;
        found.ok().map(Arc::new)
    }
}

/// The backend alone, in its default format, bincode.
struct Hitbox(RedisBackend);

impl Hitbox {
    async fn filled(url: &str, heroes: &[Hero]) -> Result<Self, Wrong> {
        let backend = RedisBackend::builder().connection(ConnectionMode::single(url));
        let backend = backend.build().map_err(wrong)?;
        for hero in heroes {
            let value = CacheValue::new(Cacheable(hero.clone()), None, None);
            let key = Self::key(&hero.id);
            let mut context = CacheContext::default().boxed();
            let set = backend.set::<Cacheable>(&key, &value, &mut context);
            set.await.map_err(wrong)?;
        }
        Ok(Self(backend))
    }

    fn key(id: &Uuid) -> CacheKey {
        by_name(id, |name| CacheKey::from_str("hero", name))
    }
}

impl Reader for Hitbox {
    async fn find(&self, id: &Uuid) -> Option<Arc<Hero>> {
        let mut context = CacheContext::default().boxed();
        let found = self.0.get::<Cacheable>(&Self::key(id), &mut context).await;
        Some(Arc::new(found.ok()??.into_inner().0))
    }
}

/// With Redis for its only tier, as JSON.
struct MultiTier(CacheManager);

impl MultiTier {
    async fn filled(url: &str, heroes: &[Hero]) -> Result<Self, Wrong> {
        let tier = RedisCache::with_url(url).await.map_err(wrong)?;
        let tier = CacheTier::new(Arc::new(tier), 1, false, 1, 1.0);
        let cache = CacheManager::new_with_tiers(vec![tier], None).map_err(wrong)?;
        for hero in heroes {
            let value = serde_json::to_vec(hero).map_err(wrong)?;
            let strategy = CacheStrategy::Custom(TTL);
            let name = hero.id.to_string();
            let set = cache.set_with_strategy(&name, value.into(), strategy);
            set.await.map_err(wrong)?;
        }
        Ok(Self(cache))
    }
}

impl Reader for MultiTier {
    async fn find(&self, id: &Uuid) -> Option<Arc<Hero>> {
        let found = self.0.get_typed::<Hero>(&id.to_string()).await;
        found.ok()?.map(Arc::new)
    }
}
