//! The servers of the suite, and an instance in step with them.

use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, settings::Settings};
use aside_testkit::{ClusterOptions, RedisCluster};

use crate::error::Wrong;
use crate::heroes::Heroes;

/// The length that makes a hero about 600 bytes of JSON.
pub(super) const APPEARANCE_BYTES: usize = 518;

/// How long an instance may take until every primary is used.
const IN_STEP_WITHIN: Duration = Duration::from_secs(20);

/// Starts three primaries.
pub(super) fn three_primaries(replicas: usize) -> Result<RedisCluster, Wrong> {
    let cluster = RedisCluster::start_with(ClusterOptions {
        replicas,
        ..ClusterOptions::default()
    });
    cluster.map_err(|error| Wrong(error.to_string()))
}

/// Returns a cache in front of the heroes, in step with its Redis. A bound of 0 is
/// no local tier.
pub(super) async fn in_step(
    url: &str,
    heroes: &Heroes,
    bound_ms: &str,
) -> Result<CachedRepository<Heroes>, Wrong> {
    let settings = Settings::from_pairs([
        ("REDIS_URL", url),
        ("CACHE_MAX_STALENESS_MS", bound_ms),
        ("CACHE_OPERATION_TIMEOUT_MS", "1000"),
    ]);
    let config = CacheConfig::from_settings(&settings);
    let cache = CacheService::connect(config.map_err(|error| Wrong(error.to_string()))?).await;
    let begun = Instant::now();
    while !cache.is_synced() {
        if IN_STEP_WITHIN < begun.elapsed() {
            return Err(Wrong("the servers could not be used".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(CachedRepository::new(heroes.clone(), &cache))
}
