//! What one repository's cache has done so far.

use std::time::Duration;

use crate::cached_repository::CachedRepository;
use crate::entity::{self, Entity};
use crate::repository::Source;
use crate::service::report::KindStats;

/// What one repository's cache has done so far, and holds now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RepositoryStats {
    /// The counters of the kind, since this process began.
    pub reads: KindStats,
    /// How long Redis will keep the list of all; `None` if it is not there.
    pub list_all_ttl: Option<Duration>,
}

impl<R: Source> CachedRepository<R> {
    /// What this kind's cache has done so far, and holds now. How many keys Redis
    /// has of it is what [`CacheService::count_keys`](crate::CacheService::count_keys)
    /// says, which goes through all of them.
    pub async fn stats(&self) -> RepositoryStats {
        let tiers = self.read.tiers();
        let kind = R::Entity::KIND;
        let all = entity::all_key(tiers.namespace(), kind);
        RepositoryStats {
            reads: KindStats::of(kind, &*self.read.kind),
            list_all_ttl: self.read.cache.ttl(all.as_str()).await.left(),
        }
    }
}
