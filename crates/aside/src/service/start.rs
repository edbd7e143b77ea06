//! How a service begins: with Redis, with `memory://`, or without either.

use std::sync::Arc;
use std::time::Duration;

use aside_redis::{Address, Target, connect::Tls};
use tokio::sync::{Mutex, mpsc};

use super::{CacheService, Service};
use crate::config::CacheConfig;
use crate::config::credentials::{Authentication, Provider};
use crate::memory::{MemoryTier, Subscription};
use crate::protocol::message;
use crate::protocol::{OnMessage, SharedTier};
use crate::recovery::retries::{self, Queue};
use crate::redis::endpoint::Endpoint;
use crate::redis::pool::{self, RedisTier};
use crate::redis::watcher::{self, SharedInfo};
use crate::tiers::Tiers;
use crate::tiers::shard::Shard;
use crate::trust::generations::Stripes;
use crate::trust::link::Link;

/// What `memory://` may hold, in bytes.
const MEMORY_LIMIT_BYTES: usize = 256 * 1024 * 1024;

/// The most connections that carry commands.
const MOST_LANES: usize = 4;

/// The bound on in-process staleness that the link is measured by where the
/// in-process tier is switched off.
const BOUND_WITHOUT_IN_PROCESS: Duration = Duration::from_millis(500);

impl CacheService {
    pub(super) fn start(config: &CacheConfig, provider: Option<Provider>) -> Self {
        let stripes = Arc::new(Stripes::new());
        let bound = match config.max_staleness {
            Duration::ZERO => BOUND_WITHOUT_IN_PROCESS,
            bound => bound,
        };
        let (releases, arrivals) = mpsc::unbounded_channel();
        let instance = fastrand::u64(..);
        let server = SharedInfo::default();
        let with = |shared, link| {
            let stripes = Arc::clone(&stripes);
            let shard = Shard::new(shared, link, config);
            Arc::new(Tiers::new(
                config.clone(),
                instance,
                shard,
                stripes,
                releases,
            ))
        };
        let link = || Arc::new(Link::new(Arc::clone(&stripes), bound));
        let mut subscription = None;
        let tiers = match config.validate().and_then(|()| config.target()) {
            _ if !config.redis_enabled => {
                tracing::warn!(
                    "caching is off here: instances that cache do not hear of writes made by \
                     this one, and serve what they hold until its TTL"
                );
                with(None, link())
            }
            Err(problems) => {
                tracing::error!(%problems, "nothing is cached: the settings cannot work");
                with(None, link())
            }
            Ok(Target {
                address: Address::Memory(name),
                ..
            }) => {
                let memory = match name {
                    Some(name) => MemoryTier::named(&name, MEMORY_LIMIT_BYTES),
                    None => MemoryTier::private(MEMORY_LIMIT_BYTES),
                };
                let shared: Arc<dyn SharedTier> = Arc::clone(&memory) as _;
                let tiers = with(Some(shared), Arc::new(Link::always(Arc::clone(&stripes))));
                subscription = Some(hear(&memory, &tiers));
                tiers
            }
            Ok(target) => {
                let link = link();
                // One connection of the permitted number is the watcher's.
                let count = config.redis_max_connections.saturating_sub(1);
                let redis = Arc::new(RedisTier::new(
                    count.min(MOST_LANES),
                    message::channel(&config.namespace),
                    config.operation_timeout,
                    Arc::clone(&link),
                ));
                let tiers = with(Some(Arc::clone(&redis) as _), link);
                connect(&tiers, &redis, endpoint(config, target, provider), &server);
                tiers
            }
        };
        let (queue, heard) = (Queue::of(arrivals), Arc::downgrade(&tiers));
        let pending = move || retries::run(Arc::clone(&queue), heard.clone());
        tiers.tasks.add("the releases", pending);
        Self(Arc::new(Service {
            tiers,
            server,
            counted: Mutex::default(),
            _subscription: subscription,
        }))
    }
}

fn hear(memory: &Arc<MemoryTier>, tiers: &Arc<Tiers>) -> Subscription {
    let heard = Arc::downgrade(tiers);
    let on_message: OnMessage = Arc::new(move |text| {
        if let Some(tiers) = heard.upgrade() {
            tiers.hear(text);
        }
    });
    memory.subscribe(on_message)
}

fn endpoint(config: &CacheConfig, target: Target, provider: Option<Provider>) -> Endpoint {
    Endpoint {
        authentication: match provider {
            Some(provider) => Authentication::Provider(provider),
            None => config.authentication(&target),
        },
        target,
        tls: Tls {
            ca: config.redis_tls_ca.clone(),
            cert: config.redis_tls_cert.clone(),
            key: config.redis_tls_key.clone(),
        },
        connect_timeout: config.redis_socket_timeout,
        max_value_bytes: config.max_value_bytes,
    }
}

/// Keeps the lanes open, and watches.
fn connect(tiers: &Arc<Tiers>, redis: &RedisTier, endpoint: Endpoint, server: &SharedInfo) {
    let [shard] = tiers.shards() else { return };
    let silence = tiers.config.redis_socket_timeout;
    for lane in redis.lanes() {
        let (lane, link) = (Arc::clone(lane), Arc::clone(&shard.link));
        let endpoint = endpoint.clone();
        tiers.tasks.add("a connection", move || {
            pool::keep_open(
                Arc::clone(&lane),
                endpoint.clone(),
                Arc::clone(&link),
                silence,
            )
        });
    }
    let (shard, lane) = (Arc::clone(shard), Arc::clone(redis.watched()));
    let (heard, info) = (Arc::downgrade(tiers), Arc::clone(server));
    tiers.tasks.add("the watcher", move || {
        watcher::run(
            endpoint.clone(),
            Arc::clone(&shard),
            Arc::clone(&lane),
            heard.clone(),
            Arc::clone(&info),
            silence,
        )
    });
}
