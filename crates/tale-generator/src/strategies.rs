//! Cache strategies of the Tale Generator's kinds.
//!
//! None declares dependents. A strategy sees one row, and the stories of a
//! renamed or deleted child cannot be computed from the child alone. The
//! transaction that rewrites the stories records each of them instead.

use std::time::Duration;

use aside::CacheStrategy;
use aside::entity::Following;

use crate::domain::{Child, Hero, Story, StoryIndex};

/// Caches heroes for an hour, because they rarely change.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeroCacheStrategy;

/// Caches children for half an hour.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChildCacheStrategy;

/// Caches stories for ten minutes, because they are large and many.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoryCacheStrategy;

impl HeroCacheStrategy {
    /// The TTL, unless `CACHE_HERO_TTL` is set.
    pub const TTL: Duration = Duration::from_secs(3600);
}

impl ChildCacheStrategy {
    /// The TTL, unless `CACHE_CHILD_TTL` is set.
    pub const TTL: Duration = Duration::from_secs(1800);
}

impl StoryCacheStrategy {
    /// The TTL, unless `CACHE_STORY_TTL` is set.
    pub const TTL: Duration = Duration::from_secs(600);
}

impl CacheStrategy<Hero> for HeroCacheStrategy {
    fn default_ttl(&self) -> Option<Duration> {
        Some(Self::TTL)
    }
}

impl CacheStrategy<Child> for ChildCacheStrategy {
    fn default_ttl(&self) -> Option<Duration> {
        Some(Self::TTL)
    }

    /// The stories of a child are often opened after it.
    fn follow(&self, child: &Child, next: &mut Following<'_>) {
        next.list::<Story>(&StoryIndex::ChildId(child.id));
    }
}

impl CacheStrategy<Story> for StoryCacheStrategy {
    fn default_ttl(&self) -> Option<Duration> {
        Some(Self::TTL)
    }

    /// A story is often shown with its hero.
    fn follow(&self, story: &Story, next: &mut Following<'_>) {
        if let Some(hero) = &story.hero_id {
            next.row::<Hero>(hero);
        }
    }
}
