//! A cache in front of a service's repositories.

mod address;
mod answer;
mod cached_repository;
mod codec;
mod config;
mod entity;
mod key;
mod repository;
mod secret;
mod service;
mod settings;
mod strategy;
mod write;

pub use answer::{Answer, Bypass, Freshness, Tier};
pub use cached_repository::{CachedRepository, Forget};
pub use codec::{Codec, CodecError, Json};
pub use config::CacheConfig;
pub use entity::{Entity, IndexShape, Rows, Shape};
pub use key::KeyWriter;
pub use repository::{Id, Index, Repository, Row};
pub use secret::Secret;
pub use service::CacheService;
pub use settings::{ConfigError, Reader, Settings};
pub use strategy::{CacheStrategy, DefaultStrategy, Dependents};
pub use write::{Unquarantined, Write};
