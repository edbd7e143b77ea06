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
//! #     fn overloaded(&self, _: aside::repository::Overloaded) -> Self::Error {
//! #         unreachable!()
//! #     }
//! # }
//! #
//! # impl Repository for SqlHeroes {
//! #     async fn save_in(&self, row: Hero, write: &mut Write) -> Result<Arc<Hero>, Self::Error> {
//! #         write.created(&row);
//! #         let _ = write.before_commit().await;
//! #         self.0.lock().insert(row.id, row.clone());
//! #         Ok(Arc::new(row))
//! #     }
//! #
//! #     async fn update_in(&self, row: Hero, write: &mut Write) -> Result<Option<Arc<Hero>>, Self::Error> {
//! #         let Some(before) = self.0.lock().get(&row.id).cloned() else { return Ok(None) };
//! #         write.updated(&before, &row);
//! #         let _ = write.before_commit().await;
//! #         self.0.lock().insert(row.id, row.clone());
//! #         Ok(Some(Arc::new(row)))
//! #     }
//! #
//! #     async fn delete_in(&self, id: &u64, write: &mut Write) -> Result<bool, Self::Error> {
//! #         let Some(before) = self.0.lock().get(id).cloned() else { return Ok(false) };
//! #         write.deleted(&before);
//! #         let _ = write.before_commit().await;
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
//! # Features
//!
//! All are on by default: 88 packages with this one, and 66 without any feature.
//! `cargo tree -p aside -e normal --prefix none` lists them, some of them twice.
//!
//! | feature | has | without it |
//! |---|---|---|
//! | `tls` | `rediss://`, by rustls and ring | such an address and the settings of TLS are refused |
//! | `metrics` | [`CacheService::register_metrics`] | statistics and health remain |
//! | `config-file` | `aside.toml` and `ASIDE_CONFIG` | such a file is refused; the environment and `.env` are read |
//! | `compression` | `CACHE_COMPRESS_ABOVE_BYTES`, by LZ4 | the setting is refused; compressed values of other instances are misses |
//! | `ops` (off) | `aside::ops`, for the command line `aside` | |
//! | `uuid` | exact comparison of `uuid::Uuid` ids in process | they are found by a hash of their key |
//!
//! The modules are in reading order; each uses only those above it.

// Some counters are read by the metrics alone.
#![cfg_attr(not(feature = "metrics"), allow(dead_code))]

#[doc(inline)]
pub use aside_redis::Secret;

mod runtime;

pub mod entity;
pub use entity::shape::Shape;
pub use entity::strategy::CacheStrategy;
pub use entity::{Entity, Rows};

mod answer;
pub use answer::{Answer, Bypass, Freshness, Tier};

mod config;
pub use config::CacheConfig;

mod protocol;

mod trust;

mod insight;

mod memory;

mod local;

mod prefetch;

mod tiers;

mod redis;

mod recovery;

mod write;
pub use write::Write;

pub mod repository;
pub use repository::in_order::in_order;
pub use repository::{Repository, Source};

mod service;
pub use service::CacheService;

mod read;
pub use read::timeouts::Timeouts;

mod id_lists;

mod query;
pub use query::{CachedQuery, Deps};

mod cached_repository;
pub use cached_repository::{CachedRepository, Scope};

#[cfg(test)]
mod conformance;

#[cfg(test)]
mod simulation;

/// Settings from the environment and from files, and credentials that change.
pub mod settings {
    pub use aside_redis::{NodeMap, NodeMapError};

    pub use crate::config::credentials::{Credentials, CredentialsError, CredentialsProvider};
    pub use crate::config::history::RedisHistory;
    pub use crate::config::prefetch::PrefetchMode;
    pub use crate::config::settings::{ConfigError, Settings, SettingsReader};
}

/// The text of a row in Redis.
pub mod codec {
    pub use crate::entity::codec::{Codec, CodecError, Json, Lost, survives};
}

/// The journal: invalidations that Redis did not acknowledge, kept in the
/// database.
pub mod journal {
    pub use crate::recovery::journal::{DatabaseHistory, Journal, JournalRow, JournalState};
    pub use crate::write::Unacknowledged;
}

pub mod transaction {
    #![doc = include_str!("docs/transaction.md")]

    pub use crate::write::failure::{CommitError, FailedCommit, OutOfReach};
    pub use crate::write::transaction::{
        BeginTransaction, CachedTransaction, DatabaseTransaction, commit,
    };
}

/// Events for operators: the invalidations that a service receives.
pub mod events {
    pub use crate::tiers::broadcaster::{Invalidation, Invalidations};
}

/// Access to a fleet for command lines, which are linked with no service.
#[cfg(feature = "ops")]
pub mod ops {
    pub use crate::service::ops::{Ops, OpsError, ServerFacts, SlowEvent};
}

/// Reports for operators: health, statistics, one key explained, warm-ups.
pub mod report {
    pub use crate::cached_repository::{RepositoryStats, WarmUpOptions};
    pub use crate::config::warm_up::WarmUpFrom;
    pub use crate::insight::histogram::Durations;
    pub use crate::insight::warm_ups::WarmUpProgress;
    pub use crate::prefetch::PrefetchAssociation;
    pub use crate::service::Ttl;
    pub use crate::service::advice::{Advice, Confidence};
    pub use crate::service::curve::{Curve, CurvePoint};
    pub use crate::service::explain::{Conditions, Explanation, KeyEvent, KeyState};
    pub use crate::service::fleet::report::{
        IndexDescription, InstanceReport, InstanceState, JournalReport, KindReport, ShardReport,
    };
    pub use crate::service::fleet::{Fleet, KnownKind, Member, Probed};
    pub use crate::service::health::{Health, HealthStatus, ServerName, ShardHealth};
    pub use crate::service::hot_keys::HotKey;
    pub use crate::service::local_state::LocalState;
    pub use crate::service::prefetch::PrefetchState;
    pub use crate::service::purge::{Purge, Purged};
    pub use crate::service::report::{Invalidated, KeyCounts, KindStats, ServiceStats};
    pub use crate::trust::breaker::BreakerState;
}

#[doc = include_str!("docs/derive.md")]
#[doc(inline)]
pub use aside_derive::Entity;
#[doc = include_str!("docs/derive_shape.md")]
#[doc(inline)]
pub use aside_derive::Shape;

/// Derives of adapters, which are then those of this version.
#[doc(hidden)]
pub mod for_adapters {
    pub use aside_derive::Table;
}
