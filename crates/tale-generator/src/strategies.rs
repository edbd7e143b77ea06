//! How each kind of the Tale Generator is cached.
//!
//! None has dependents: a strategy sees one row, and what a renamed or
//! deleted child does to its stories cannot be computed from the child alone.
//! The transaction that rewrites the stories records each of them instead.

use std::time::Duration;

use aside::{CacheConfig, CacheStrategy, Entity as _};

use crate::domain::{Child, Hero, Story};

/// How heroes are cached: for an hour, since they hardly change.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeroCacheStrategy;

/// How children are cached: for half an hour.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChildCacheStrategy;

/// How stories are cached: for ten minutes, since they are large and many.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoryCacheStrategy;

impl HeroCacheStrategy {
    /// The TTL unless `CACHE_HERO_TTL` says otherwise.
    pub const TTL: Duration = Duration::from_secs(3600);
}

impl ChildCacheStrategy {
    /// The TTL unless `CACHE_CHILD_TTL` says otherwise.
    pub const TTL: Duration = Duration::from_secs(1800);
}

impl StoryCacheStrategy {
    /// The TTL unless `CACHE_STORY_TTL` says otherwise.
    pub const TTL: Duration = Duration::from_secs(600);
}

// A TTL that the strategy itself names would stand above the settings, so it
// names none and `with_ttl_defaults` stands below them.
impl CacheStrategy<Hero> for HeroCacheStrategy {}
impl CacheStrategy<Child> for ChildCacheStrategy {}
impl CacheStrategy<Story> for StoryCacheStrategy {}

/// The settings with the TTLs of the three kinds where none are set.
#[must_use]
pub fn with_ttl_defaults(config: CacheConfig) -> CacheConfig {
    config
        .with_ttl_default(Hero::KIND, HeroCacheStrategy::TTL)
        .with_ttl_default(Child::KIND, ChildCacheStrategy::TTL)
        .with_ttl_default(Story::KIND, StoryCacheStrategy::TTL)
}
