//! A cache in front of a service's repositories.
//!
//! The modules stand in reading order; each uses only those above it.

mod secret;
pub use secret::Secret;

mod settings;
pub use settings::{ConfigError, Reader, Settings};

mod address;

mod key;
pub use key::KeyWriter;

mod config;
pub use config::CacheConfig;

mod clock;

mod entity;
pub use entity::{Entity, IndexShape, Rows};

mod shape;
pub use shape::Shape;

mod codec;
pub use codec::{Codec, CodecError, Json};

mod strategy;
pub use strategy::{CacheStrategy, DefaultStrategy, Dependents};

mod answer;
pub use answer::{Answer, Bypass, Freshness, Tier};

mod statistics;

mod value;

mod message;

mod stripes;

mod link;

mod shared;

mod flight;

mod lookup;

mod process;

mod held;

mod kind;

mod tiers;

mod releases;

mod watcher;

mod write;
pub use write::{Unquarantined, Write};

mod repository;
pub use repository::{Id, Index, Repository, Row};

mod inspect;
pub use inspect::{
    Explained, Health, HealthStatus, Invalidated, KeyCount, KindStats, ServiceStats, State,
};

mod service;
pub use service::{CacheService, Ttl};

mod named;

mod metrics;

mod cached_repository;
pub use cached_repository::{CachedRepository, Forget, RepositoryStats, WarmUp, WarmedUp};

#[doc = include_str!("docs/derive.md")]
#[doc(inline)]
pub use aside_derive::Entity;
#[doc = include_str!("docs/derive_shape.md")]
#[doc(inline)]
pub use aside_derive::Shape;
