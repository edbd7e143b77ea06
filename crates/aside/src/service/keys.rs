//! Raw keys, of any kind or none.
//!
//! Only the library writes the keys of registered kinds. Here they can be read
//! and invalidated, but not set.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::CacheService;
use crate::entity::key::Key;
use crate::insight::statistics::Reason;
use crate::protocol::message::Why;
use crate::protocol::value::Header;
use crate::protocol::{Failure, Lives, Op, Reply, Token, Traffic};
use crate::service::report::Invalidated;
use crate::tiers::sweeps::Swept;

/// The time to live of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ttl {
    /// The key does not exist, or Redis is unavailable.
    Absent,
    /// The key does not expire.
    Unlimited,
    /// The key expires after this time.
    Left(Duration),
}

impl Ttl {
    /// Returns the remaining time, if the key exists and expires.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        match self {
            Self::Left(left) => Some(left),
            Self::Absent | Self::Unlimited => None,
        }
    }
}

impl CacheService {
    /// Reads a key: the payload of a value, or the bytes passed to
    /// [`set`](Self::set).
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let Reply::Value(Some(mut bytes)) = self.ask(Op::Get { key: Key::new(key) }).await? else {
            return None;
        };
        if self.tiers().kind_of(key).is_none() {
            return Some(bytes.into());
        }
        let header = Header::parse(&bytes)?;
        let begin = header.payload_at(&bytes)?;
        Some(bytes.split_off(begin).into())
    }

    /// Sets a key of an unregistered kind; `None` means the default TTL.
    /// Returns true if Redis stored it.
    ///
    /// For a key of a registered kind it fails and counts an error, because
    /// such a value could not be kept consistent with the database.
    pub async fn set(&self, key: &str, value: impl Into<Vec<u8>>, ttl: Option<Duration>) -> bool {
        if self.tiers().kind_of(key).is_some() {
            self.tiers().statistics.error("set_on_registered_kind");
            return false;
        }
        let ttl = Some(ttl.unwrap_or(self.config().default_ttl));
        let value = value.into();
        self.ask(Op::Set {
            key: Key::new(key),
            value,
            ttl,
        })
        .await
        .is_some()
    }

    /// Removes a key; if it is of a registered kind, invalidates every copy.
    /// Returns true if the key existed.
    pub async fn delete(&self, key: &str) -> bool {
        let key = Key::new(key);
        if self.tiers().kind_of(key.as_str()).is_none() {
            return self.ask(Op::Delete { key }).await == Some(Reply::Existed(true));
        }
        self.invalidate_counted(&key).await.keys == 1
    }

    /// Removes every key that matches a glob pattern, in the syntax of `SCAN`,
    /// page by page; keys of registered kinds are invalidated in every tier.
    /// Returns their number.
    pub async fn delete_pattern(&self, pattern: &str) -> u64 {
        let tiers = self.tiers();
        if tiers.bypass_for(&Key::new(pattern)).is_some() {
            return 0;
        }
        let own = tiers.prefix("aside");
        let invalidated = tiers.scan(pattern, |keys| {
            let own = own.clone();
            async move {
                let keys = keys
                    .into_iter()
                    .filter(|key| !key.as_str().starts_with(&own));
                let (kept, raw): (Vec<Key>, Vec<Key>) =
                    keys.partition(|key| tiers.kind_of(key.as_str()).is_some());
                let count = (kept.len() + raw.len()) as u64;
                let left = tiers.invalidate(&kept, Why::Request).await;
                let ops = raw.into_iter().map(|key| Op::Delete { key }).collect();
                for deleted in tiers.send(Traffic::Others, ops).await {
                    // One that is refused is no reason to end the scan.
                    if let Err(Failure::Unanswered(unanswered)) = deleted {
                        return Err(unanswered);
                    }
                }
                Ok(count - left.len() as u64)
            }
        });
        let invalidated = invalidated.await.unwrap_or(0);
        // The scan misses keys whose value is gone from Redis but may still be
        // cached locally.
        let begins = &pattern[..pattern.find(['*', '?', '[', '\\']).unwrap_or(pattern.len())];
        let is_of_kind = |kind| {
            let prefix = tiers.prefix(kind);
            prefix.starts_with(begins) || begins.starts_with(&prefix)
        };
        if tiers.kinds().into_keys().any(is_of_kind) {
            // Tried once, like the pages of the scan.
            let _ = tiers.invalidate_local(begins).await;
        }
        tracing::info!(
            operation = "delete_pattern",
            count = invalidated,
            "invalidated"
        );
        invalidated
    }

    /// Returns true if a key exists, in any state.
    pub async fn exists(&self, key: &str) -> bool {
        self.ask(Op::Exists { key: Key::new(key) }).await == Some(Reply::Existed(true))
    }

    /// Returns the time to live of a key.
    pub async fn ttl(&self, key: &str) -> Ttl {
        match self.ask(Op::Ttl { key: Key::new(key) }).await {
            Some(Reply::Lives(Lives::Forever)) => Ttl::Unlimited,
            Some(Reply::Lives(Lives::For(left))) => Ttl::Left(left),
            _ => Ttl::Absent,
        }
    }

    /// Invalidates every registered kind. Returns how many keys were removed
    /// from Redis.
    pub async fn flush(&self) -> u64 {
        let mut invalidated = 0;
        for kind in self.tiers().kinds().into_keys() {
            invalidated += self.invalidate_whole_kind(kind).await.keys;
        }
        invalidated
    }

    /// Invalidates every copy of every kind, on every instance of this Redis
    /// and namespace, including kinds not cached here. Call it after the
    /// database went back: after a restore, or a failover that lost commits.
    ///
    /// Other instances react within `CACHE_MAX_STALENESS_MS`. If Redis does not
    /// acknowledge it, [`pending`](Invalidated::pending) is true: kinds cached
    /// here are read from the database until Redis has invalidated them. For
    /// all other kinds it must be called again.
    ///
    /// # Cancellation
    /// If dropped, it may or may not have taken effect; call it again.
    pub async fn database_went_back(&self) -> Invalidated {
        let tiers = self.tiers();
        if !tiers.is_enabled() {
            return Invalidated::default();
        }
        let told = match tiers.is_remote() {
            true => tiers.is_usable() && tiers.begin_era().await.is_ok(),
            // An era matters only between processes, and the tier inside this
            // one invalidates at once.
            false => false,
        };
        let mut pending = false;
        if !told {
            for kind in tiers.kinds().into_keys() {
                pending |= tiers.invalidate_kind(kind, Why::Request).await.is_none();
            }
        }
        tracing::warn!(
            pending,
            "the database went back: all cached copies are invalidated"
        );
        Invalidated {
            pending: pending || tiers.is_remote() && !told,
            ..Invalidated::default()
        }
    }

    /// Invalidates a key, now or once Redis is available. It counts as removed
    /// even if it was not there, which would cost the application a round trip.
    pub(crate) async fn invalidate_key(&self, key: &Key, reason: Reason) -> Invalidated {
        self.invalidate_known(key, reason, true).await
    }

    /// Invalidates a key for an operator: it counts as removed only if it was
    /// there. Asked first, because the script deletes a key without saying so.
    pub(crate) async fn invalidate_counted(&self, key: &Key) -> Invalidated {
        let existed = self.exists(key.as_str()).await;
        self.invalidate_known(key, Reason::Request, existed).await
    }

    async fn invalidate_known(&self, key: &Key, reason: Reason, existed: bool) -> Invalidated {
        let tiers = self.tiers();
        if !tiers.is_enabled() {
            return Invalidated::default();
        }
        let acknowledged = tiers.is_usable_for(key)
            && tiers
                .invalidate(std::slice::from_ref(key), reason.why())
                .await
                .is_empty();
        if !acknowledged {
            tiers.hold_until_released(key.clone(), Token::random(), None);
        }
        let kind = tiers.kind_of(key.as_str());
        self.count(kind, reason, 1);
        let invalidated = Invalidated {
            keys: u64::from(acknowledged && existed),
            pending: !acknowledged,
            ..Invalidated::default()
        };
        log("invalidate", kind.unwrap_or("none"), invalidated);
        tracing::debug!(key = key.as_str(), "invalidated");
        invalidated
    }

    /// Invalidates a kind, now or once Redis is available.
    pub(crate) async fn invalidate_whole_kind(&self, kind: &str) -> Invalidated {
        if !self.is_enabled() {
            return Invalidated::default();
        }
        let invalidated = match self.tiers().invalidate_kind(kind, Why::Request).await {
            Some((epoch, swept)) => {
                swept_within(&swept, self.config().operation_timeout).await;
                Invalidated {
                    keys: swept.keys.load(Ordering::Relaxed),
                    at_least: !swept.is_complete.load(Ordering::Acquire),
                    epoch: Some(epoch),
                    pending: false,
                }
            }
            None => Invalidated {
                pending: true,
                ..Invalidated::default()
            },
        };
        self.count(Some(kind), Reason::Request, invalidated.keys.max(1));
        log("invalidate_all", kind, invalidated);
        invalidated
    }

    /// Counts invalidations that are not caused by a write.
    fn count(&self, kind: Option<&str>, reason: Reason, keys: u64) {
        let kinds = self.tiers().kinds();
        if let Some(kind) = kind.and_then(|kind| kinds.get(kind)) {
            kind.statistics().invalidated(reason, keys);
        }
    }
}

/// Waits until a sweep ends, or the timeout expires; the kind is already
/// invalidated.
async fn swept_within(swept: &Arc<Swept>, patience: Duration) {
    let over = async {
        // The sweep drops its reference when it ends.
        while 1 < Arc::strong_count(swept) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = tokio::time::timeout(patience, over).await;
}

/// Logs an invalidation that an operator or a caller requested.
fn log(operation: &str, kind: &str, invalidated: Invalidated) {
    let count = invalidated.keys;
    if invalidated.pending {
        tracing::warn!(
            kind,
            operation,
            pending = true,
            "not invalidated yet: Redis is unavailable; retrying, and reads here go to the \
             database meanwhile"
        );
    } else {
        let at_least = invalidated.at_least;
        tracing::info!(kind, operation, count, at_least, "invalidated");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::CacheConfig;
    use crate::entity::example::Hero;
    use aside_redis::Secret;

    /// Above the limit of unreleased keys their kind is tracked instead: a key
    /// that was not added again must not be removed again.
    #[tokio::test]
    async fn a_key_stays_unreleased_beside_a_write_of_its_kind() {
        let service = CacheService::connect(CacheConfig {
            redis_url: Secret::new("memory://"),
            ..CacheConfig::default()
        });
        let service = service.await;
        let tiers = service.tiers();
        tiers.register::<Hero>(None);
        let key = Key::new("hero:1");
        assert!(tiers.add_unreleased(&key));
        let mut number = 0;
        while !tiers.unreleased.is_full() {
            number += 1;
            tiers.add_unreleased(&Key::new(&format!("hero:other:{number}")));
        }

        tiers.hold_until_released(key.clone(), Token::random(), None);
        while !tiers.is_drained() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }

        assert!(tiers.unreleased.contains(&key));
    }
}
