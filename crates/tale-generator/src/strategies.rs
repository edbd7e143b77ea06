//! How each kind of the Tale Generator is cached.
//!
//! None has dependents: a strategy sees one row, and what a renamed or
//! deleted child does to its stories cannot be computed from the child alone.
//! The transaction that rewrites the stories records each of them instead.

use std::time::Duration;

use aside::CacheStrategy;

use crate::domain::{Child, Hero, Story};

/// How heroes are cached: for an hour, since they hardly change.
#[derive(Clone, Copy, Debug)]
pub struct HeroCacheStrategy {
    ttl: Duration,
}

/// How children are cached: for half an hour.
#[derive(Clone, Copy, Debug)]
pub struct ChildCacheStrategy {
    ttl: Duration,
}

/// How stories are cached: for ten minutes, since they are large and many.
#[derive(Clone, Copy, Debug)]
pub struct StoryCacheStrategy {
    ttl: Duration,
}

impl HeroCacheStrategy {
    /// The TTL unless `CACHE_HERO_TTL` says otherwise.
    pub const DEFAULT_TTL: Duration = Duration::from_secs(3600);

    /// Keeps heroes for `ttl`.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl }
    }
}

impl ChildCacheStrategy {
    /// The TTL unless `CACHE_CHILD_TTL` says otherwise.
    pub const DEFAULT_TTL: Duration = Duration::from_secs(1800);

    /// Keeps children for `ttl`.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl }
    }
}

impl StoryCacheStrategy {
    /// The TTL unless `CACHE_STORY_TTL` says otherwise.
    pub const DEFAULT_TTL: Duration = Duration::from_secs(600);

    /// Keeps stories for `ttl`.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl }
    }
}

impl Default for HeroCacheStrategy {
    fn default() -> Self {
        Self::new(Self::DEFAULT_TTL)
    }
}

impl Default for ChildCacheStrategy {
    fn default() -> Self {
        Self::new(Self::DEFAULT_TTL)
    }
}

impl Default for StoryCacheStrategy {
    fn default() -> Self {
        Self::new(Self::DEFAULT_TTL)
    }
}

impl CacheStrategy<Hero> for HeroCacheStrategy {
    fn default_ttl(&self) -> Option<Duration> {
        Some(self.ttl)
    }
}

impl CacheStrategy<Child> for ChildCacheStrategy {
    fn default_ttl(&self) -> Option<Duration> {
        Some(self.ttl)
    }
}

impl CacheStrategy<Story> for StoryCacheStrategy {
    fn default_ttl(&self) -> Option<Duration> {
        Some(self.ttl)
    }
}
