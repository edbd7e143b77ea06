//! The shards of a cluster: one for each primary that owns slots, made and ended as
//! the map of the cluster changes.
//!
//! A shard is one node as a primary, at one address. After a failover the promoted
//! replica is another shard, with proofs, connections and a history that begin anew.

use std::sync::{Arc, Weak};

use aside_redis::{Address, Target};
use parking_lot::Mutex;

use super::connect;
use crate::config::CacheConfig;
use crate::config::credentials::Provider;
use crate::insight::statistics::ServiceStatistics;
use crate::protocol::{SharedTier, message};
use crate::recovery::retries::Queue;
use crate::redis::cluster::{Cluster, Ownership, Primary};
use crate::redis::cluster_watcher;
use crate::redis::endpoint::{Endpoint, Role};
use crate::redis::locator::Locator;
use crate::redis::pool::RedisTier;
use crate::service::health::ServerName;
use crate::tiers::Tiers;
use crate::tiers::shard::{ClusterNode, Shard};
use crate::tiers::shard_map::{NO_OWNER, ShardMap};
use crate::tiers::tasks::Group;
use crate::trust::generations::Generations;
use crate::trust::link::Link;
use crate::trust::shard_trust::ShardTable;

/// The parts that all shards of one cluster share.
struct Nodes {
    config: CacheConfig,
    /// How to connect to any node.
    endpoint: Endpoint,
    cluster: Arc<Cluster>,
    table: Arc<ShardTable>,
    statistics: Arc<ServiceStatistics>,
    vacant: Arc<Shard>,
    current: Mutex<Current>,
}

/// The owners that the map of the tiers was made of, and the tasks of the shards.
#[derive(Default)]
struct Current {
    ownership: Option<Ownership>,
    groups: Vec<(Arc<Shard>, Group)>,
}

/// A shard that has just been made.
struct Made {
    shard: Arc<Shard>,
    redis: Arc<RedisTier>,
    queue: Arc<tokio::sync::Mutex<Queue>>,
    endpoint: Endpoint,
}

/// Returns tiers that share values through a cluster, and begins to connect.
pub(super) fn connect(
    config: &CacheConfig,
    target: Target,
    provider: Option<Provider>,
) -> Arc<Tiers> {
    let Address::Cluster { nodes: seeds, tls } = target.address.clone() else {
        unreachable!("the caller matches a cluster");
    };
    let bound = connect::bound(config);
    let table = ShardTable::new(bound);
    let statistics = Arc::new(ServiceStatistics::new());
    let link = Arc::new(Link::new(table.take().expect("the first shard")));
    link.set_server(ServerName::of(&target).to_string());
    let (vacant, arrivals) = Shard::new(None, Arc::clone(&link), config, &statistics);
    let vacant = Arc::new(vacant);
    let owners = vec![NO_OWNER; usize::from(aside_redis::cluster::SLOTS)];
    let map = ShardMap::of_slots(Vec::new(), owners.into(), Arc::clone(&vacant));
    let generations = Arc::new(Generations::new(&table));
    let (instance, counters) = (message::new_instance(), Arc::clone(&statistics));
    let tiers = Tiers::new(config.clone(), instance, map, generations, counters);
    let tiers = Arc::new(tiers);
    let cluster = Arc::new(Cluster::new(
        seeds,
        tls,
        config.redis_node_map.clone(),
        bound,
        tiers.epoch_keys.len(),
    ));
    let endpoint = Endpoint {
        role: Role::Node,
        db: None,
        ..connect::endpoint(config, target, provider, None)
    };
    connect::send_pending(&tiers, &vacant, Queue::of(arrivals));
    let (asked, asks) = (Arc::clone(&cluster), endpoint.clone());
    tiers.tasks.add("the cluster's watcher", move || {
        cluster_watcher::run(Arc::clone(&asked), asks.clone(), Arc::clone(&link))
    });
    let nodes = Arc::new(Nodes {
        config: config.clone(),
        endpoint,
        cluster,
        table,
        statistics,
        vacant,
        current: Mutex::default(),
    });
    let weak = Arc::downgrade(&tiers);
    tiers.tasks.add("the map of the cluster", move || {
        follow(Arc::clone(&nodes), weak.clone())
    });
    tiers
}

/// Follows the changes of the cluster until the service ends.
async fn follow(nodes: Arc<Nodes>, tiers: Weak<Tiers>) {
    loop {
        let Some(tiers) = tiers.upgrade() else {
            return;
        };
        nodes.apply(&tiers);
        drop(tiers);
        nodes.cluster.changed().await;
    }
}

impl Nodes {
    /// Makes the map of the tiers that of the cluster.
    fn apply(&self, tiers: &Arc<Tiers>) {
        let mut current = self.current.lock();
        let ownership = self.cluster.ownership();
        if current.ownership.as_ref() == Some(&ownership) {
            return;
        }
        let before = tiers.map();
        let (mut shards, mut made) = (Vec::new(), Vec::new());
        // Positions in the list of shards, by position among the primaries.
        let mut places = Vec::with_capacity(ownership.primaries.len());
        for primary in &ownership.primaries {
            let node = node_of(primary);
            let known = before.shards().iter();
            let mut known = known.filter(|shard| shard.node.as_ref() == Some(&node));
            let shard = known.next().cloned().or_else(|| {
                let new = self.make(primary, node, ownership.primaries.len())?;
                let shard = Arc::clone(&new.shard);
                made.push(new);
                Some(shard)
            });
            places.push(match shard {
                Some(shard) => {
                    shards.push(shard);
                    u16::try_from(shards.len() - 1).unwrap_or(NO_OWNER)
                }
                None => {
                    let (id, port) = (&*primary.id, primary.port);
                    tracing::error!(
                        id,
                        port,
                        "a primary cannot be used, and its keys are read from the database: it \
                         announces no usable address, or there are too many primaries"
                    );
                    NO_OWNER
                }
            });
        }
        let place = |owner: &u16| places.get(usize::from(*owner)).copied();
        let owners = ownership.owners.iter();
        let owners = owners
            .map(|owner| place(owner).unwrap_or(NO_OWNER))
            .collect();
        let map = ShardMap::of_slots(shards, owners, Arc::clone(&self.vacant));
        // Before a reader uses the new owner: keys that it may not know were written.
        for shard in before.shards() {
            tiers.release_moved(shard, &map);
        }
        let map = Arc::new(map);
        tiers.shards.set(Arc::clone(&map));
        self.begin(tiers, &mut current, made);
        end_others(tiers, &mut current, &map);
        if !(current.ownership.is_none() && map.shards().is_empty()) {
            let nodes: Vec<&str> = map.shards().iter().map(|it| it.link.server()).collect();
            let whole = map.is_whole();
            tracing::info!(?nodes, whole, "the primaries of the cluster");
        }
        current.ownership = Some(ownership);
    }

    /// Makes a shard; `None` if its address is unknown, or there are too many.
    fn make(&self, primary: &Primary, node: ClusterNode, count: usize) -> Option<Made> {
        let address = self.cluster.address_of(primary)?;
        let link = Arc::new(Link::new(self.table.take()?));
        link.set_server(address.to_string());
        link.add_witnesses();
        let limit = self.config.redis_max_connections / count.max(1);
        let redis = Arc::new(connect::pool(&self.config, limit, &link).of_node());
        let shared = Arc::clone(&redis) as Arc<dyn SharedTier>;
        let (shard, arrivals) = Shard::new(Some(shared), link, &self.config, &self.statistics);
        Some(Made {
            shard: Arc::new(shard.of_node(node)),
            redis,
            queue: Queue::of(arrivals),
            endpoint: Endpoint {
                locator: Locator::Node {
                    cluster: Arc::clone(&self.cluster),
                    id: Arc::clone(&primary.id),
                    address,
                },
                ..self.endpoint.clone()
            },
        })
    }

    fn begin(&self, tiers: &Arc<Tiers>, current: &mut Current, made: Vec<Made>) {
        for Made {
            shard,
            redis,
            queue,
            endpoint,
        } in made
        {
            // Asked after the shard is in the map: a journal that is connected
            // meanwhile finds it there.
            if tiers.is_journalled() {
                shard.link.require_drain();
            }
            let group = tiers.tasks.new_group();
            connect::send_pending(tiers, &shard, queue);
            connect::keep_open(tiers, &shard, &redis, (&endpoint, group));
            current.groups.push((shard, group));
        }
    }
}

/// Ends the shards that own no slots any more.
fn end_others(tiers: &Tiers, current: &mut Current, map: &ShardMap) {
    current.groups.retain(|(shard, group)| {
        let stays = map.has(shard);
        if !stays {
            tiers.tasks.end(*group);
            shard.link.close();
        }
        stays
    });
}

fn node_of(primary: &Primary) -> ClusterNode {
    ClusterNode {
        id: Arc::clone(&primary.id),
        host: primary.host.clone().unwrap_or_default(),
        hostname: primary.hostname.clone(),
        port: primary.port,
    }
}
