//! The keys that are read most often.

use std::time::Duration;

use crate::insight::heat::Hot;
use crate::runtime::clock;
use crate::service::CacheService;
use crate::tiers::Tiers;

/// A key that is read often, by the sample of one instance.
///
/// One of 64 reads is sampled, in this process and below it. HeavyKeeper (Yang et al.,
/// USENIX ATC 2018) counts them and knows the names of 128 keys. Counts are halved every
/// ten minutes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HotKey {
    /// The key in Redis.
    pub key: String,
    /// Its kind.
    pub kind: &'static str,
    /// The estimated part of all reads of the service, 0.0 to 1.0.
    pub share: f64,
    /// The estimated reads of it per second, on average over the time that its counts
    /// cover: about twenty minutes.
    pub reads_per_second: f64,
    /// The time since the database returned the value that was last read.
    pub age: Duration,
}

impl HotKey {
    fn of(hot: Hot) -> Self {
        let age = clock::wall().as_millisecond() - hot.loaded_at;
        Self {
            key: hot.key,
            kind: hot.kind,
            share: hot.share,
            reads_per_second: hot.reads_per_second,
            age: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
        }
    }
}

impl CacheService {
    /// Returns at most `limit` of the keys that are read most often, of 128 that are
    /// known, the hottest first. Empty with `CACHE_ANALYTICS=false`, and before enough
    /// reads: each key has been sampled at least once.
    ///
    /// They are those of this instance. Names of keys contain ids and index values.
    #[must_use]
    pub fn hot_keys(&self, limit: usize) -> Vec<HotKey> {
        hot_keys(self.tiers(), None, limit)
    }
}

/// Returns the hot keys of a service, or of one kind.
pub(crate) fn hot_keys(tiers: &Tiers, kind: Option<&str>, limit: usize) -> Vec<HotKey> {
    let hottest = tiers.hottest(kind, limit).into_iter();
    hottest.map(HotKey::of).collect()
}
