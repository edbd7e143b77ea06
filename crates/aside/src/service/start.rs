//! Start of a service: with Redis, with `memory://`, or without either.

use std::sync::Arc;

use aside_redis::{Address, Target};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::cluster;
use super::connect::{self, Connected};
use super::fleet::beat;
use super::{CacheService, Service};
use crate::config::CacheConfig;
use crate::config::credentials::Provider;
use crate::tiers::{hot_set, sampling};

impl CacheService {
    pub(super) fn start(config: &CacheConfig, provider: Option<Provider>) -> Self {
        let Connected {
            tiers,
            subscription,
        } = match target(config) {
            None => connect::without_tier(config),
            Some(Target {
                address: Address::Memory(name),
                ..
            }) => connect::to_memory(config, name.as_deref()),
            Some(
                target @ Target {
                    address: Address::Cluster { .. },
                    ..
                },
            ) => Connected {
                tiers: cluster::connect(config, target, provider),
                subscription: None,
            },
            Some(target) => connect::to_redis(config, target, provider),
        };
        beat::start(&tiers);
        if tiers.keeps_hot_sets() {
            let weak = Arc::downgrade(&tiers);
            tiers
                .tasks
                .add("the hot set", move || hot_set::run(weak.clone()));
        }
        if tiers.samples.is_some() {
            let weak = Arc::downgrade(&tiers);
            tiers
                .tasks
                .add("the samples", move || sampling::run(weak.clone()));
        }
        Self(Arc::new(Service {
            tiers,
            counted: Mutex::default(),
            subscription,
            begun: Instant::now(),
        }))
    }
}

/// Returns the address of the shared tier, or `None` if nothing is cached.
fn target(config: &CacheConfig) -> Option<Target> {
    match config.validate().and_then(|()| config.target()) {
        _ if !config.redis_enabled => {
            tracing::warn!(
                "caching is disabled: other instances receive no invalidations for writes of \
                 this one, and serve their copies until the TTL ends"
            );
            None
        }
        Err(problems) => {
            tracing::error!(%problems, "nothing is cached: the settings are invalid");
            None
        }
        Ok(target) => Some(target),
    }
}
