//! A cache in front of a service's existing repositories. Reads come from this
//! process, then from Redis, then from the database; writes invalidate every
//! copy; if Redis fails, the service continues with the database.
//!
//! A read reflects every write that had returned `CACHE_MAX_STALENESS_MS` (500
//! ms) before it, even if messages were lost, and normally every write that had
//! returned at all. The cache adds no errors: [`CachedRepository`] fails only
//! if the [`Repository`] it wraps does. `docs/consistency.md` and `CAVEATS.md`
//! describe the guarantees and their limits.
//!
//! ```
//! use std::sync::Arc;
//! use aside::{CacheConfig, CacheService, CachedRepository, Repository, Source, Secret};
//! # use aside::{Entity, Freshness, Rows, Write};
//! # use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Debug, Serialize, Deserialize, Entity)]
//! #[entity(kind = "hero")]
//! struct Hero {
//!     #[entity(id)]
//!     id: u64,
//!     #[entity(index)]
//!     name: String,
//! }
//!
//! # #[derive(Default)]
//! # struct SqlHeroes(parking_lot::Mutex<std::collections::BTreeMap<u64, Hero>>);
//! # impl SqlHeroes {
//! #     fn rows(&self, like: impl Fn(&Hero) -> bool) -> Rows<Hero> {
//! #         self.0.lock().values().filter(|row| like(row)).cloned().map(Arc::new).collect()
//! #     }
//! # }
//! # impl Source for SqlHeroes {
//! #     type Entity = Hero;
//! #     type Error = std::convert::Infallible;
//! #
//! #     async fn find_by_id(&self, id: &u64) -> Result<Option<Arc<Hero>>, Self::Error> {
//! #         Ok(self.0.lock().get(id).cloned().map(Arc::new))
//! #     }
//! #
//! #     async fn find_many(&self, ids: &[u64]) -> Result<Vec<Option<Arc<Hero>>>, Self::Error> {
//! #         let rows = self.0.lock();
//! #         Ok(ids.iter().map(|id| rows.get(id).cloned().map(Arc::new)).collect())
//! #     }
//! #
//! #     async fn find_by(&self, index: &HeroIndex) -> Result<Rows<Hero>, Self::Error> {
//! #         let HeroIndex::Name(name) = index;
//! #         Ok(self.rows(|row| row.name == *name))
//! #     }
//! #
//! #     async fn list_all(&self) -> Result<Rows<Hero>, Self::Error> {
//! #         Ok(self.rows(|_| true))
//! #     }
//! #
//! #     fn overloaded(&self, _: aside::Overloaded) -> Self::Error {
//! #         unreachable!()
//! #     }
//! # }
//! #
//! # impl Repository for SqlHeroes {
//! #     async fn save_in(&self, row: Hero, write: &mut Write) -> Result<Arc<Hero>, Self::Error> {
//! #         write.created(&row);
//! #         write.before_commit().await;
//! #         self.0.lock().insert(row.id, row.clone());
//! #         Ok(Arc::new(row))
//! #     }
//! #
//! #     async fn update_in(&self, row: Hero, write: &mut Write) -> Result<Option<Arc<Hero>>, Self::Error> {
//! #         let Some(before) = self.0.lock().get(&row.id).cloned() else { return Ok(None) };
//! #         write.updated(&before, &row);
//! #         write.before_commit().await;
//! #         self.0.lock().insert(row.id, row.clone());
//! #         Ok(Some(Arc::new(row)))
//! #     }
//! #
//! #     async fn delete_in(&self, id: &u64, write: &mut Write) -> Result<bool, Self::Error> {
//! #         let Some(before) = self.0.lock().get(id).cloned() else { return Ok(false) };
//! #         write.deleted(&before);
//! #         write.before_commit().await;
//! #         Ok(self.0.lock().remove(id).is_some())
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), std::convert::Infallible> {
//! // In a service: CacheConfig::from_env()?
//! let config = CacheConfig { redis_url: Secret::new("memory://"), ..CacheConfig::default() };
//! let cache = CacheService::connect(config).await;
//! let heroes = CachedRepository::new(SqlHeroes::default(), &cache);
//!
//! heroes.save(Hero { id: 1, name: "Ivan".into() }).await?;
//! let hero = heroes.find_by_id(&1).await?.expect("it was saved");
//! let again = heroes.find_by_id(&1).await?.expect("it is cached");
//! assert!(Arc::ptr_eq(&hero, &again));
//!
//! heroes.update(Hero { id: 1, name: "Maria".into() }).await?; // every copy is invalidated
//! assert!(heroes.find_by(&HeroIndex::Name("Ivan".into())).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! [`Repository`] is the interface to the database, [`Entity`] defines which
//! rows can be cached and under which keys (derive it), [`CacheStrategy`]
//! defines how.
//!
//! The modules are in reading order; each uses only those above it.

#[doc(inline)]
pub use aside_redis::Secret;

mod runtime;

mod entity;
pub use entity::codec::{Codec, CodecError, Json, Lost, survives};
pub use entity::exact::ExactText;
pub use entity::key::KeyWriter;
#[doc(hidden)]
pub use entity::likeness;
pub use entity::shape::Shape;
pub use entity::strategy::{CacheStrategy, DefaultStrategy};
pub use entity::{Dependents, Entity, IndexShape, Rows};

mod answer;
pub use answer::{Answer, Bypass, Freshness, Tier};

mod config;
pub use config::CacheConfig;
pub use config::credentials::{Credentials, CredentialsError, CredentialsProvider};
pub use config::settings::{ConfigError, SettingsReader, Settings};

mod protocol;

mod trust;
pub use trust::breaker::BreakerState;

mod insight;

mod memory;

mod local;

mod tiers;
pub use tiers::broadcaster::{Invalidation, Invalidations};

mod redis;

mod recovery;
pub use recovery::journal::{DatabaseHistory, Journal, JournalRow, JournalState};

mod write;
pub use write::{Unacknowledged, Write};

mod repository;
pub use repository::erased::ErasedRepository;
pub use repository::{Id, Index, Overloaded, Repository, Row, Source};

mod service;
pub use service::report::{
    Explanation, Health, HealthStatus, Invalidated, KeyCounts, KindStats, ServiceStats, KeyState,
};
pub use service::{CacheService, Ttl};

mod read;

mod cached_repository;
pub use cached_repository::{CachedRepository, Scope, RepositoryStats, WarmUpOptions, WarmUpProgress};

#[cfg(test)]
mod conformance;

#[cfg(test)]
mod simulation;

#[doc = include_str!("docs/derive.md")]
#[doc(inline)]
pub use aside_derive::Entity;
#[doc = include_str!("docs/derive_shape.md")]
#[doc(inline)]
pub use aside_derive::Shape;
