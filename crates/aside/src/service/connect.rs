//! Construction of a service's tiers and of the tasks that keep its
//! connections.

use std::sync::Arc;
use std::time::Duration;

use aside_redis::{Address, NodeMap, Target, TlsClient};
use tokio::sync::Mutex;

use crate::config::CacheConfig;
use crate::config::credentials::{Authentication, Provider};
use crate::entity::namespace::Namespace;
use crate::insight::statistics::ServiceStatistics;
use crate::memory::{MemoryTier, Subscription};
use crate::protocol::{OnMessage, SharedTier, message};
use crate::recovery::retries::{self, Queue};
use crate::redis::endpoint::{Endpoint, Role};
use crate::redis::locator::Locator;
use crate::redis::pool::{self, RedisTier};
use crate::redis::sentinel_watcher;
use crate::redis::sentinels::Sentinels;
use crate::redis::watcher;
use crate::service::health::ServerName;
use crate::tiers::Tiers;
use crate::tiers::shard::Shard;
use crate::tiers::shard_map::ShardMap;
use crate::tiers::tasks::Group;
use crate::trust::generations::Generations;
use crate::trust::link::Link;
use crate::trust::shard_trust::ShardTable;

/// The capacity of `memory://`, in bytes.
const MEMORY_LIMIT_BYTES: usize = 256 * 1024 * 1024;

/// The maximum number of connections for commands.
const MAX_CONNECTIONS: usize = 4;

/// The staleness bound of the link if the local tier is disabled.
const BOUND_WITHOUT_IN_PROCESS: Duration = Duration::from_millis(500);

/// The tiers of a service, connected or connecting.
pub(super) struct Connected {
    pub(super) tiers: Arc<Tiers>,
    /// Ends the subscription to messages when dropped.
    pub(super) subscription: Option<Subscription>,
}

impl Connected {
    fn new(config: &CacheConfig, tier: Option<Arc<dyn SharedTier>>, link: Arc<Link>) -> Self {
        let generations = Arc::new(Generations::new(link.table()));
        let statistics = Arc::new(ServiceStatistics::new());
        let (shard, arrivals) = Shard::new(tier, link, config, &statistics);
        let map = ShardMap::single(shard);
        let instance = message::new_instance();
        let tiers = Tiers::new(config.clone(), instance, map, generations, statistics);
        let tiers = Arc::new(tiers);
        send_pending(&tiers, &tiers.map().shards()[0], Queue::of(arrivals));
        Self {
            tiers,
            subscription: None,
        }
    }
}

/// Starts the task that sends the pending operations of a shard. It ends with the
/// shard, after it has handed them over.
pub(super) fn send_pending(tiers: &Arc<Tiers>, shard: &Arc<Shard>, queue: Arc<Mutex<Queue>>) {
    let (shard, weak) = (Arc::downgrade(shard), Arc::downgrade(tiers));
    tiers.tasks.add("the releases", move || {
        retries::run(Arc::clone(&queue), weak.clone(), shard.clone())
    });
}

/// Returns tiers that cache nothing.
pub(super) fn without_tier(config: &CacheConfig) -> Connected {
    Connected::new(config, None, unproved(config))
}

/// Returns tiers that share values within this process.
pub(super) fn to_memory(config: &CacheConfig, name: Option<&str>) -> Connected {
    let memory = match name {
        Some(name) => MemoryTier::named(name, MEMORY_LIMIT_BYTES),
        None => MemoryTier::private(MEMORY_LIMIT_BYTES),
    };
    let shared: Arc<dyn SharedTier> = Arc::clone(&memory) as _;
    let connected = Connected::new(config, Some(shared), Arc::new(Link::always()));
    let heard = Arc::downgrade(&connected.tiers);
    let on_message: OnMessage = Arc::new(move |text| {
        if let Some(tiers) = heard.upgrade() {
            tiers.apply_message(text);
        }
    });
    Connected {
        subscription: Some(memory.subscribe(on_message)),
        ..connected
    }
}

/// Returns tiers that share values through Redis, and begins to connect.
pub(super) fn to_redis(
    config: &CacheConfig,
    target: Target,
    provider: Option<Provider>,
) -> Connected {
    let link = unproved(config);
    link.set_server(ServerName::of(&target).to_string());
    let redis = Arc::new(pool(config, config.redis_max_connections, &link));
    let connected = Connected::new(config, Some(Arc::clone(&redis) as _), link);
    let sentinels = sentinels(&target.address, &config.redis_node_map);
    let endpoint = endpoint(config, target, provider, sentinels.as_ref());
    for shard in connected.tiers.map().shards() {
        if sentinels.is_some() {
            shard.link.add_witnesses();
        }
        let group = connected.tiers.tasks.new_group();
        keep_open(&connected.tiers, shard, &redis, (&endpoint, group));
        if let Some(sentinels) = &sentinels {
            ask(&connected.tiers, shard, sentinels, &endpoint, config);
        }
    }
    connected
}

/// Returns a pool of connections to one server; `limit` is how many are permitted.
pub(super) fn pool(config: &CacheConfig, limit: usize, link: &Arc<Link>) -> RedisTier {
    // One of them is the watcher's.
    RedisTier::new(
        limit.saturating_sub(1).min(MAX_CONNECTIONS),
        Namespace(&config.namespace).channel(),
        config.operation_timeout,
        Arc::clone(link),
    )
}

fn unproved(config: &CacheConfig) -> Arc<Link> {
    let table = ShardTable::new(bound(config));
    Arc::new(Link::new(table.take().expect("the first shard")))
}

/// Returns how long a proof lasts.
pub(super) fn bound(config: &CacheConfig) -> Duration {
    match config.max_staleness {
        Duration::ZERO => BOUND_WITHOUT_IN_PROCESS,
        bound => bound,
    }
}

/// Returns the Sentinels that an address names, if any.
fn sentinels(address: &Address, node_map: &NodeMap) -> Option<Arc<Sentinels>> {
    match address.clone() {
        Address::Sentinel {
            sentinels,
            service,
            tls,
        } => Some(Arc::new(Sentinels::new(
            service,
            sentinels,
            tls,
            node_map.clone(),
        ))),
        _ => None,
    }
}

pub(super) fn endpoint(
    config: &CacheConfig,
    target: Target,
    provider: Option<Provider>,
    sentinels: Option<&Arc<Sentinels>>,
) -> Endpoint {
    Endpoint {
        authentication: match provider {
            Some(provider) => Authentication::Provider(provider),
            None => config.authentication(&target),
        },
        locator: match sentinels {
            Some(sentinels) => Locator::Sentinels(Arc::clone(sentinels)),
            None => Locator::Fixed(target.address),
        },
        role: Role::Server,
        db: target.db,
        tls: Arc::new(TlsClient::new(config.tls())),
        socket_timeout: config.redis_socket_timeout,
        max_value_bytes: config.max_value_bytes,
        history: config.redis_history,
    }
}

/// Starts the task that asks the Sentinels of a shard.
fn ask(
    tiers: &Tiers,
    shard: &Shard,
    sentinels: &Arc<Sentinels>,
    endpoint: &Endpoint,
    config: &CacheConfig,
) {
    let (sentinels, link) = (Arc::clone(sentinels), Arc::clone(&shard.link));
    let endpoint = Endpoint {
        authentication: config.sentinel_authentication(),
        db: None,
        ..endpoint.clone()
    };
    tiers.tasks.add("the Sentinels' watcher", move || {
        sentinel_watcher::run(Arc::clone(&sentinels), endpoint.clone(), Arc::clone(&link))
    });
}

/// Starts the tasks that keep a shard's connections open, including the
/// watcher's.
pub(super) fn keep_open(
    tiers: &Arc<Tiers>,
    shard: &Arc<Shard>,
    redis: &RedisTier,
    (endpoint, group): (&Endpoint, Group),
) {
    for pooled in redis.connections() {
        let (pooled, link) = (Arc::clone(pooled), Arc::clone(&shard.link));
        let endpoint = endpoint.clone();
        tiers.tasks.add_to(group, "a connection", move || {
            pool::keep_open(Arc::clone(&pooled), endpoint.clone(), Arc::clone(&link))
        });
    }
    let (shard, pooled) = (Arc::clone(shard), Arc::clone(redis.watched()));
    let (endpoint, heard) = (endpoint.clone(), Arc::downgrade(tiers));
    tiers.tasks.add_to(group, "the watcher", move || {
        watcher::run(
            endpoint.clone(),
            Arc::clone(&shard),
            Arc::clone(&pooled),
            heard.clone(),
        )
    });
}
