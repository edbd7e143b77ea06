//! A cache in front of a service's repositories.

mod answer;
mod cached_repository;
mod codec;
mod config;
mod entity;
mod key;
mod repository;
mod service;
mod shape;
mod strategy;
mod write;

pub use answer::{Answer, Bypass, Freshness, Tier};
pub use cached_repository::{CachedRepository, Forget};
pub use codec::{Codec, CodecError, Json};
pub use config::{CacheConfig, Secret};
pub use entity::{Entity, IndexShape, Rows};
pub use key::KeyWriter;
pub use repository::{Id, Index, Repository, Row};
pub use service::CacheService;
pub use shape::Shape;
pub use strategy::{CacheStrategy, DefaultStrategy, Dependents};
pub use write::{Unquarantined, Write};

#[doc = include_str!("docs/derive.md")]
#[doc(inline)]
pub use aside_derive::Entity;
#[doc = include_str!("docs/derive_shape.md")]
#[doc(inline)]
pub use aside_derive::Shape;
