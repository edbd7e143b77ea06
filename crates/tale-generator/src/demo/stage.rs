//! The state shared by the acts: a database, a Redis, and counters of both.

use std::future::Future;
use std::time::{Duration, Instant};

use aside::settings::PrefetchMode;
use aside::{CacheConfig, CacheService, Secret, Source as _};
use aside_testkit::RedisServer;
use tempfile::TempDir;
use tokio::time::sleep;
use uuid::Uuid;

use super::DemoError;
use super::page::Page;
use crate::Tales;
use crate::seed::{Plan, seed};
use crate::sql::{Database, DatabaseOptions};

/// The delay added to each database read.
pub(super) const ADDED: Duration = Duration::from_millis(50);

/// The rows in the database at the beginning.
const PLAN: Plan = Plan {
    heroes: 60,
    children: 20,
    stories: 80,
    rng_seed: 1,
};

/// The database and the Redis of the example.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) database: Database,
    /// `None` if there is no redis-server on the PATH.
    pub(super) redis: Option<RedisServer>,
    url: String,
    // Last, so that it is removed after its last writer.
    directory: TempDir,
}

/// Reads served so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// By the cache.
    pub(super) hits: u64,
    /// By the database.
    pub(super) loads: u64,
}

impl Stage {
    pub(super) async fn set(page: &mut Page) -> Result<Self, DemoError> {
        page.title("aside: the guided example");
        let directory = tempfile::Builder::new().prefix("tales-demo-").tempdir()?;
        let url = format!("sqlite:{}", directory.path().join("tales.db").display());
        let options = DatabaseOptions {
            read_delay: ADDED,
            ..DatabaseOptions::default()
        };
        let database = Database::open(&url, options).await?;
        let unheard = CacheService::connect(settings(None)).await;
        seed(&database, &unheard, PLAN, |_| {}).await?;
        page.say(&format!(
            "A SQLite file in a temporary directory holds {} heroes, {} children and {} stories. \
             A local SQLite answers in microseconds, so the example adds {} ms to each database \
             read, as a busy database across a network would.",
            PLAN.heroes,
            PLAN.children,
            PLAN.stories,
            ADDED.as_millis(),
        ));
        let (redis, url) = match RedisServer::start() {
            Ok(redis) => {
                page.say("Redis: a private server, which ends with the example.");
                let url = redis.unix_url();
                (Some(redis), url)
            }
            Err(why) => {
                page.say(&format!(
                    "Redis: {why}, so memory:// stands in for it: the same contract inside this \
                     process. Act 5 needs a real one and is skipped."
                ));
                let process = std::process::id();
                (None, format!("memory://tales-demo-{process}"))
            }
        };
        Ok(Self {
            database,
            redis,
            url,
            directory,
        })
    }

    /// Connects a service, like each instance of a deployment.
    pub(super) async fn instance(&self) -> Result<Tales, DemoError> {
        self.instance_at(&self.url).await
    }

    /// Connects a service to another Redis.
    pub(super) async fn instance_at(&self, url: &str) -> Result<Tales, DemoError> {
        let cache = CacheService::connect(settings(Some(url))).await;
        self.database.journal_for(&cache).await;
        until_synced(&cache).await?;
        Ok(Tales::new(self.database.clone(), &cache))
    }

    /// Creates another database with the rows of a plan, whose reads take longer by
    /// `read_delay`.
    pub(super) async fn another_database(
        &self,
        plan: Plan,
        read_delay: Duration,
    ) -> Result<Database, DemoError> {
        let file = self.directory.path().join("other-tales.db");
        let options = DatabaseOptions {
            read_delay,
            ..DatabaseOptions::default()
        };
        let database = Database::open(&format!("sqlite:{}", file.display()), options).await?;
        let unheard = CacheService::connect(settings(None)).await;
        seed(&database, &unheard, plan, |_| {}).await?;
        Ok(database)
    }

    /// Returns the ids of all children of a database.
    pub(super) async fn children_of(&self, database: &Database) -> Result<Vec<Uuid>, DemoError> {
        let cache = CacheService::connect(settings(None)).await;
        let children = Tales::new(database.clone(), &cache)
            .children
            .list_all()
            .await?;
        Ok(children.iter().map(|child| child.id).collect())
    }

    /// Connects a service over another database, which has its keys to itself.
    pub(super) async fn instance_over(
        &self,
        database: &Database,
        prefetch: PrefetchMode,
    ) -> Result<Tales, DemoError> {
        let config = CacheConfig {
            namespace: format!("prefetch-{}", prefetch.as_str()),
            prefetch,
            warm_up: None,
            ..settings(Some(&self.url))
        };
        let cache = CacheService::connect(config).await;
        until_synced(&cache).await?;
        Ok(Tales::new(database.clone(), &cache))
    }

    /// Returns a service that caches nothing.
    pub(super) async fn without_caching(&self) -> Tales {
        let cache = CacheService::connect(settings(None)).await;
        Tales::new(self.database.clone(), &cache)
    }

    /// Returns the reads that these instances and the database have served so
    /// far.
    pub(super) fn tally(&self, instances: &[&Tales]) -> Tally {
        Tally::of(instances, &self.database)
    }
}

impl Tally {
    /// Returns the reads that these instances and a database have served so far.
    pub(super) fn of(instances: &[&Tales], database: &Database) -> Self {
        let kinds = instances
            .iter()
            .flat_map(|tales| tales.cache().stats().kinds);
        Self {
            hits: kinds
                .map(|kind| kind.l1_hits + kind.l2_hits + kind.negative_hits)
                .sum(),
            loads: database.reads(),
        }
    }

    /// Returns the reads served since an earlier tally.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            hits: self.hits - earlier.hits,
            loads: self.loads - earlier.loads,
        }
    }
}

/// Waits until a service uses the private Redis.
async fn until_synced(cache: &CacheService) -> Result<(), DemoError> {
    let mut waits = 0;
    while !cache.is_synced() {
        if waits == 100 {
            return Err(DemoError::Stuck("the private Redis could not be used"));
        }
        waits += 1;
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The environment is ignored, because the example must not touch a Redis in
/// use.
fn settings(url: Option<&str>) -> CacheConfig {
    match url {
        Some(url) => CacheConfig {
            redis_url: Secret::new(url),
            ..CacheConfig::default()
        },
        None => CacheConfig {
            redis_enabled: false,
            ..CacheConfig::default()
        },
    }
}

/// Runs the work and measures how long it took.
pub(super) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let value = work.await;
    (value, begun.elapsed())
}

/// Returns the median time per read, measured in batches, because one read may
/// be shorter than a look at the clock.
pub(super) async fn median_in_batches<T, E>(
    batches: usize,
    in_each: u32,
    mut read: impl AsyncFnMut() -> Result<T, E>,
) -> Result<Duration, E> {
    let batch = median(batches, async || {
        for _ in 0..in_each {
            read().await?;
        }
        Ok(())
    });
    Ok(batch.await? / in_each)
}

/// Returns the median time of the given number of reads.
pub(super) async fn median<T, E>(
    times: usize,
    mut read: impl AsyncFnMut() -> Result<T, E>,
) -> Result<Duration, E> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let (value, elapsed) = timed(read()).await;
        value?;
        took.push(elapsed);
    }
    took.sort_unstable();
    Ok(took[times / 2])
}
