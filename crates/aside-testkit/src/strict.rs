//! The strict mode: hits of cached queries are compared with loads.

use aside::CacheService;

/// Compares every hit of a cached query with a load, from now on. Needs the feature
/// `entity`.
///
/// A difference is a panic in the caller, with the query's name, its parameters, both
/// results and the dependencies that it names. So a test that writes the rows of a query
/// finds a forgotten dependency, and one with two viewers finds a viewer that the
/// parameters leave out. Writes beside the reads are no difference, nor are results that
/// differ from one load to the next.
///
/// ```
/// use aside::{CacheConfig, CacheService, CachedQuery, Deps, Secret};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let config = CacheConfig { redis_url: Secret::new("memory://"), ..CacheConfig::default() };
/// let cache = CacheService::connect(config).await;
/// aside_testkit::strict(&cache);
///
/// let count: CachedQuery<(), u64> = CachedQuery::new("count", &cache);
/// for _ in 0..2 {
///     let load = || async { Ok::<_, std::io::Error>(7) };
///     count.get(&(), Deps::new(), load).await.unwrap(); // the second is compared
/// }
/// # }
/// ```
pub fn strict(cache: &CacheService) {
    cache.compare_every_hit();
}
