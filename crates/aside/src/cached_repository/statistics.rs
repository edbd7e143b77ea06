//! Statistics of one repository's cache.

use std::time::Duration;

use crate::cached_repository::CachedRepository;
use crate::entity::{self, Entity};
use crate::repository::Source;
use crate::service::curve::Curve;
use crate::service::report::KindStats;

/// Statistics of one repository's cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RepositoryStats {
    /// The counters of the kind since this process began.
    pub reads: KindStats,
    /// The time to live of the list of all in Redis; `None` if it is not
    /// cached.
    pub list_all_ttl: Option<Duration>,
}

impl<R: Source> CachedRepository<R> {
    /// Returns how the hits of rows in process would change with another
    /// `CACHE_L1_CAPACITY`, which all kinds share; `None` before the first read.
    #[must_use]
    pub fn curve(&self) -> Option<Curve> {
        let mut curves = self.read.cache.curves().into_iter();
        curves.find(|curve| curve.pool == "rows")
    }

    /// Returns the kind's statistics. For the number of keys in Redis see
    /// [`CacheService::count_keys`](crate::CacheService::count_keys), which
    /// scans all of them.
    pub async fn stats(&self) -> RepositoryStats {
        let tiers = self.read.tiers();
        let kind = R::Entity::KIND;
        let all = entity::all_key(tiers.namespace(), kind);
        RepositoryStats {
            reads: KindStats::of(tiers, kind, &*self.read.kind),
            list_all_ttl: self.read.cache.ttl(all.as_str()).await.left(),
        }
    }
}
