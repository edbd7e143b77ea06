//! A cache in front of a service's repositories.

mod answer;
mod cached_repository;
mod codec;
mod config;
mod entity;
mod clock;
mod key;
mod repository;
mod service;
mod value;
mod shared;
mod message;
mod stripes;
mod link;
mod statistics;
mod flight;
mod lookup;
mod process;
mod held;
mod kind;
mod strategy;
mod write;

pub use answer::{Answer, Bypass, Freshness, Tier};
pub use cached_repository::{CachedRepository, Forget};
pub use codec::{Codec, CodecError, Json};
pub use config::{CacheConfig, Secret};
pub use entity::{Entity, IndexShape, Rows, Shape};
pub use key::KeyWriter;
pub use repository::{Id, Index, Repository, Row};
pub use service::CacheService;
pub use strategy::{CacheStrategy, DefaultStrategy, Dependents};
pub use write::{Unquarantined, Write};
