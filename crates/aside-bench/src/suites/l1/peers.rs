//! The hit paths of other cache libraries, with the same keys and rows.
//!
//! Each is called as its documentation shows, by the call that loads on a miss
//! if there is one. amalgam-cache, hitbox and multi-tier-cache have texts for
//! keys, so each hit formats the id. hitbox and multi-tier-cache store bytes in
//! memory, so each hit decodes them.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cached::ShardedLruCache;
use hitbox::{CacheContext, CacheKey, CacheValue};
use hitbox_backend::CacheBackend;
use hitbox_moka::MokaBackend;
use multi_tier_cache::{CacheManager, CacheStrategy, CacheTier, MokaCache, MokaCacheConfig};
use uuid::Uuid;

use super::{contender, finished};
use crate::error::Wrong;
use crate::heroes::Hero;
use crate::peers::{Cacheable, by_name, wrong};
use crate::rounds::Contender;

/// No peer's entries expire during a measurement.
const TTL: Duration = Duration::from_secs(86_400);

pub(super) struct Peers {
    amalgam: amalgam::Cache<Arc<Hero>>,
    cachet: cachet::Cache<Uuid, Arc<Hero>>,
    cached: ShardedLruCache<Uuid, Arc<Hero>>,
    hitbox: MokaBackend,
    multi_tier: CacheManager,
}

impl Peers {
    /// Fills all of them, with room for twice the rows.
    pub(super) async fn holding(rows: &[Arc<Hero>]) -> Result<Self, Wrong> {
        let room = rows.len() * 2;
        let amalgam = amalgam::Cache::builder()
            .max_capacity(room as u64)
            .default_options(amalgam::EntryOptions::new(TTL));
        let cachet = cachet::Cache::builder(tick::Clock::new_tokio())
            .memory_with(|memory| memory.max_capacity(room as u64))
            .stampede_protection();
        let memory = MokaCache::new(MokaCacheConfig {
            max_capacity: room as u64,
            time_to_live: TTL,
            time_to_idle: TTL,
        });
        let memory = memory.map_err(wrong)?;
        let tier = CacheTier::new(Arc::new(memory), 1, false, 1, 1.0);
        let peers = Self {
            amalgam: amalgam.try_build().map_err(wrong)?,
            cachet: cachet.build(),
            cached: ShardedLruCache::new(room),
            hitbox: MokaBackend::builder().max_entries(room as u64).build(),
            multi_tier: CacheManager::new_with_tiers(vec![tier], None).map_err(wrong)?,
        };
        for row in rows {
            let name = row.id.hyphenated().to_string();
            let set = peers.amalgam.set(&name, Arc::clone(row)).await;
            set.map_err(wrong)?;
            let entry = cachet::CacheEntry::new(Arc::clone(row));
            peers.cachet.insert(row.id, entry).await.map_err(wrong)?;
            peers.cached.set(row.id, Arc::clone(row));
            let value = CacheValue::new(Cacheable((**row).clone()), None, None);
            let key = CacheKey::from_str("hero", &name);
            let mut context = CacheContext::default().boxed();
            let set = peers.hitbox.set::<Cacheable>(&key, &value, &mut context);
            set.await.map_err(wrong)?;
            let bytes = serde_json::to_vec(&**row).map_err(wrong)?;
            let strategy = CacheStrategy::Custom(TTL);
            let set = peers
                .multi_tier
                .set_with_strategy(&name, bytes.into(), strategy);
            set.await.map_err(wrong)?;
        }
        Ok(peers)
    }

    pub(super) fn contenders<'a>(&'a self, ids: &'a [Uuid], threads: usize) -> Vec<Contender<'a>> {
        vec![
            contender("amalgam-cache", ids, threads, |id| self.amalgam(id)),
            contender("cachet", ids, threads, |id| self.cachet(id)),
            contender("cached", ids, threads, |id| self.cached.get(id)),
            contender("hitbox", ids, threads, |id| self.hitbox(id)),
            contender("multi-tier-cache", ids, threads, |id| self.multi_tier(id)),
        ]
    }

    fn amalgam(&self, id: &Uuid) -> Option<Arc<Hero>> {
        let missing = |_| async { Err::<Arc<Hero>, _>(std::io::Error::other("not held")) };
        by_name(id, |name| {
            let found = self.amalgam.get_or_set(name, missing).into_future();
            finished(pin!(found)).ok()
        })
    }

    fn cachet(&self, id: &Uuid) -> Option<Arc<Hero>> {
        let found = finished(pin!(self.cachet.get(id)));
        found.ok()?.map(cachet::CacheEntry::into_value)
    }

    fn hitbox(&self, id: &Uuid) -> Option<Arc<Hero>> {
        let key = by_name(id, |name| CacheKey::from_str("hero", name));
        let mut context = CacheContext::default().boxed();
        let found = finished(pin!(self.hitbox.get::<Cacheable>(&key, &mut context)));
        let found = found.ok()??.into_inner();
        Some(Arc::new(found.0))
    }

    fn multi_tier(&self, id: &Uuid) -> Option<Arc<Hero>> {
        let found = by_name(id, |name| {
            finished(pin!(self.multi_tier.get_typed::<Hero>(name)))
        });
        found.ok()?.map(Arc::new)
    }
}
