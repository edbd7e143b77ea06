//! Code that several suites need to use other cache libraries.

use hitbox::ResponseCachePolicy;
use hitbox::predicate::PredicateResult;
use hitbox::{CachePolicy, CacheValue, CacheableResponse, EntityPolicyConfig, Predicate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Wrong;
use crate::heroes::Hero;

/// Converts the errors of all crates.
pub(crate) fn wrong(error: impl std::fmt::Display) -> Wrong {
    Wrong(error.to_string())
}

/// Calls `with` with the id as a text, without an allocation.
pub(crate) fn by_name<T>(id: &Uuid, with: impl FnOnce(&str) -> T) -> T {
    with(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
}

/// A hero in the form that hitbox requires; it is cached unchanged.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Cacheable(pub(crate) Hero);

impl CacheableResponse for Cacheable {
    type Cached = Self;
    type Subject = Self;
    type IntoCachedFuture = std::future::Ready<CachePolicy<Self, Self>>;
    type FromCachedFuture = std::future::Ready<Self>;

    async fn cache_policy<P>(
        self,
        predicates: P,
        config: &EntityPolicyConfig,
    ) -> ResponseCachePolicy<Self>
    where
        P: Predicate<Subject = Self::Subject> + Send + Sync,
    {
        match predicates.check(self).await {
            PredicateResult::Cacheable(hero) => {
                CachePolicy::Cacheable(CacheValue::from_config(hero, config))
            }
            PredicateResult::NonCacheable(hero) => CachePolicy::NonCacheable(hero),
        }
    }

    fn into_cached(self) -> Self::IntoCachedFuture {
        std::future::ready(CachePolicy::Cacheable(self))
    }

    fn from_cached(cached: Self) -> Self::FromCachedFuture {
        std::future::ready(cached)
    }
}
