//! Keys as such: of no registered kind, or of one.
//!
//! What a registered kind keeps in Redis is the library's to write. Here it
//! can be read, and be made to be forgotten by every copy; it cannot be set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::CacheService;
use crate::entity::key::Key;
use crate::insight::statistics::Reason;
use crate::protocol::value::{HEADER_BYTES, Header};
use crate::protocol::{Failure, Lives, Op, Reply, Token, Traffic};
use crate::service::report::Invalidated;

/// How long a key will live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key, or Redis is away.
    Absent,
    /// It does not expire.
    Unlimited,
    /// It expires after this time.
    Left(Duration),
}

impl Ttl {
    /// The time left, if the key exists and expires.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        match self {
            Self::Left(left) => Some(left),
            Self::Absent | Self::Unlimited => None,
        }
    }
}

impl CacheService {
    /// What a key holds: the payload of a value, or the bytes somebody set.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let Reply::Value(Some(mut bytes)) = self.ask(Op::Get { key: Key::new(key) }).await? else {
            return None;
        };
        if self.tiers().kind_of(key).is_none() {
            return Some(bytes.into());
        }
        Header::parse(&bytes)?;
        Some(bytes.split_off(HEADER_BYTES).into())
    }

    /// Sets a key of no registered kind; `None` is the default TTL. Answers
    /// whether Redis has it.
    ///
    /// On a key of a registered kind it is refused and counted: such a value
    /// could not be kept in step with the database.
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

    /// Removes a key; of a registered kind, makes every copy forget it.
    /// Answers whether there was such a key.
    pub async fn delete(&self, key: &str) -> bool {
        let key = Key::new(key);
        if self.tiers().kind_of(key.as_str()).is_none() {
            return self.ask(Op::Delete { key }).await == Some(Reply::Existed(true));
        }
        let existed = self.exists(key.as_str()).await;
        self.forget_key(&key, Reason::Request).await.keys == 1 && existed
    }

    /// Removes every key that matches a glob pattern, as `SCAN` has it, page
    /// by page; of registered kinds, makes every copy forget. Answers how
    /// many.
    pub async fn delete_pattern(&self, pattern: &str) -> u64 {
        let tiers = self.tiers();
        if tiers.closed(&Key::new(pattern)).is_some() {
            return 0;
        }
        let own = tiers.prefix("aside");
        let forgotten = tiers.scan(pattern, |keys| {
            let own = own.clone();
            async move {
                let keys = keys
                    .into_iter()
                    .filter(|key| !key.as_str().starts_with(&own));
                let (kept, raw): (Vec<Key>, Vec<Key>) =
                    keys.partition(|key| tiers.kind_of(key.as_str()).is_some());
                let count = (kept.len() + raw.len()) as u64;
                let left = tiers.invalidate(&kept).await;
                let ops = raw.into_iter().map(|key| Op::Delete { key }).collect();
                for deleted in tiers.ask(Traffic::Others, ops).await {
                    // One that is refused is no reason to end the scan.
                    if let Err(Failure::Unanswered(unanswered)) = deleted {
                        return Err(unanswered);
                    }
                }
                Ok(count - left.len() as u64)
            }
        });
        let forgotten = forgotten.await.unwrap_or(0);
        // The scan finds no key whose value has left Redis, but a process may
        // still hold it.
        let begins = &pattern[..pattern.find(['*', '?', '[', '\\']).unwrap_or(pattern.len())];
        let is_of_kind = |kind| {
            let prefix = tiers.prefix(kind);
            prefix.starts_with(begins) || begins.starts_with(&prefix)
        };
        if tiers.kinds().into_keys().any(is_of_kind) {
            // Tried once, like the pages of the scan.
            let _ = tiers.forget_in_process(begins).await;
        }
        tracing::info!(
            operation = "delete_pattern",
            count = forgotten,
            "invalidated"
        );
        forgotten
    }

    /// Whether a key exists, in whatever state.
    pub async fn exists(&self, key: &str) -> bool {
        self.ask(Op::Exists { key: Key::new(key) }).await == Some(Reply::Existed(true))
    }

    /// How long a key will live.
    pub async fn ttl(&self, key: &str) -> Ttl {
        match self.ask(Op::Ttl { key: Key::new(key) }).await {
            Some(Reply::Lives(Lives::Forever)) => Ttl::Unlimited,
            Some(Reply::Lives(Lives::For(left))) => Ttl::Left(left),
            _ => Ttl::Absent,
        }
    }

    /// Makes every copy of every registered kind forget; answers how many
    /// keys Redis forgot.
    pub async fn flush(&self) -> u64 {
        let mut forgotten = 0;
        for kind in self.tiers().kinds().into_keys() {
            forgotten += self.forget_kind(kind).await.keys;
        }
        forgotten
    }

    /// Makes every copy of every kind forget, on every instance of this Redis and
    /// namespace, also of kinds that are not cached here. To be called when the
    /// database went back: after a restore, or a failover that lost commits.
    ///
    /// Others notice within `CACHE_MAX_STALENESS_MS`. Where Redis does not take it,
    /// [`pending`](Invalidated::pending) is true: the kinds that are cached here are
    /// read from the database until Redis has forgotten them, and for all others
    /// it is to be called again.
    ///
    /// # Cancellation
    /// Dropped, it may have been done or not; call it again.
    pub async fn database_went_back(&self) -> Invalidated {
        let tiers = self.tiers();
        if !tiers.is_enabled() {
            return Invalidated::default();
        }
        let told = match tiers.is_remote() {
            true => tiers.is_usable() && tiers.begin_era().await.is_ok(),
            // Nobody would hear of an era within this process, and its tier forgets
            // what it is asked to at once.
            false => false,
        };
        let mut pending = false;
        if !told {
            for kind in tiers.kinds().into_keys() {
                pending |= tiers.forget_kind(kind).await.is_none();
            }
        }
        tracing::warn!(pending, "the database went back: everything is forgotten");
        Invalidated {
            keys: 0,
            pending: pending || tiers.is_remote() && !told,
        }
    }

    /// Makes every copy of a key forget, now or when Redis is back.
    pub(crate) async fn forget_key(&self, key: &Key, reason: Reason) -> Invalidated {
        let tiers = self.tiers();
        if !tiers.is_enabled() {
            return Invalidated::default();
        }
        let forgotten =
            tiers.is_usable() && tiers.invalidate(std::slice::from_ref(key)).await.is_empty();
        if !forgotten {
            tiers.hold_until_released(key.clone(), Token::random(), None);
        }
        let kind = tiers.kind_of(key.as_str());
        self.count(kind, reason, 1);
        tracing::info!(
            kind = kind.unwrap_or("none"),
            operation = "invalidate",
            count = u64::from(forgotten),
            "invalidated"
        );
        tracing::debug!(key = key.as_str(), "invalidated");
        Invalidated {
            keys: u64::from(forgotten),
            pending: !forgotten,
        }
    }

    /// Makes every copy of a kind forget, now or when Redis is back.
    pub(crate) async fn forget_kind(&self, kind: &str) -> Invalidated {
        let freed = self.tiers().forget_kind(kind).await;
        let count = match &freed {
            Some(freed) => swept(freed, self.config().operation_timeout).await,
            None => 0,
        };
        self.count(Some(kind), Reason::Request, count.max(1));
        tracing::info!(kind, operation = "invalidate_all", count, "invalidated");
        Invalidated {
            keys: count,
            pending: freed.is_none(),
        }
    }

    /// Counts what was made to be forgotten without a write.
    fn count(&self, kind: Option<&str>, reason: Reason, keys: u64) {
        let kinds = self.tiers().kinds();
        if let Some(kind) = kind.and_then(|kind| kinds.get(kind)) {
            kind.statistics().invalidated(reason, keys);
        }
    }
}

/// How many keys a sweep has freed when it is over, or in the time that one
/// operation may take: the kind is forgotten already.
async fn swept(freed: &Arc<AtomicU64>, patience: Duration) -> u64 {
    let over = async {
        // The sweep drops its half of the count when it is over.
        while 1 < Arc::strong_count(freed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = tokio::time::timeout(patience, over).await;
    freed.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::CacheConfig;
    use crate::entity::example::Hero;
    use aside_redis::Secret;

    /// So many keys are held that their kind is held instead: a key that was
    /// not held once more must not be let go once more.
    #[tokio::test]
    async fn a_key_stays_held_for_its_write_when_another_one_only_holds_its_kind() {
        let service = CacheService::connect(CacheConfig {
            redis_url: Secret::new("memory://"),
            ..CacheConfig::default()
        });
        let service = service.await;
        let tiers = service.tiers();
        tiers.register::<Hero>(None);
        let key = Key::new("hero:1");
        assert!(tiers.hold(&key));
        let mut number = 0;
        while !tiers.held.is_full() {
            number += 1;
            tiers.hold(&Key::new(&format!("hero:other:{number}")));
        }

        tiers.hold_until_released(key.clone(), Token::random(), None);
        while !tiers.owes_nothing() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }

        assert!(tiers.held.contains(&key));
    }
}
