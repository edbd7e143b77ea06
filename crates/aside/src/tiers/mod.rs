//! The tiers: state shared by all reads and writes of one service.

pub(crate) mod broadcaster;
pub(crate) mod origin_guard;
pub(crate) mod pending;
pub(crate) mod presence;
pub(crate) mod shard;
pub(crate) mod shard_map;
pub(crate) mod acknowledgement;
pub(crate) mod own_journal_rows;
mod scan;
pub(crate) mod sweeps;
pub(crate) mod tasks;
pub(crate) mod uncacheable;
pub(crate) mod kind;

pub(crate) mod breaking;
mod epochs;
mod messages;
mod invalidate;
mod confirm;
mod register;
mod routing;
mod shards;
pub(crate) mod shard_states;
pub(crate) mod sampling;
pub(crate) mod hot_table;
pub(crate) mod hot_set;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use parking_lot::Mutex;

use crate::answer::Bypass;
use crate::config::CacheConfig;
use crate::entity::key::Key;
use crate::entity::namespace::Namespace;
use crate::insight::audit::Audit;
use crate::insight::heat::Heat;
use crate::insight::records::Records;
use crate::insight::samples::Samples;
use crate::insight::statistics::ServiceStatistics;
use crate::insight::trail::{Event, Trail};
use crate::insight::warm_ups::WarmUps;
use crate::local::{Curve, Part, Pools};
use crate::prefetch::Prefetch;
use crate::runtime::clock::Moment;
use crate::tiers::broadcaster::Broadcaster;
use crate::tiers::hot_table::HotTables;
use crate::tiers::kind::AnyKind;
use crate::tiers::origin_guard::{OriginGuard, Place};
use crate::tiers::own_journal_rows::Journalled;
use crate::tiers::presence::Presence;
use crate::tiers::shard_map::{ShardMap, Shards};
use crate::tiers::tasks::Tasks;
use crate::tiers::uncacheable::Uncacheable;
use crate::trust::epochs::Epochs;
use crate::trust::generations::Generations;
use crate::trust::unreleased::UnreleasedKeys;
#[cfg(test)]
pub(crate) use epochs::keys as epoch_keys;

/// State shared by all reads and writes of one service.
pub(crate) struct Tiers {
    pub(crate) config: CacheConfig,
    /// Identifies this service among all that share a Redis.
    pub(crate) instance: u64,
    /// True if the cache is enabled.
    enabled: bool,
    /// True if values are shared through servers.
    remote: bool,
    pub(crate) shards: Shards,
    /// True if every shard's suspicions last until a journal has been drained.
    journalled_shards: AtomicBool,
    /// The keys of the hashes that hold the epochs: copies of each other.
    pub(crate) epoch_keys: Vec<Key>,
    /// The era in each of them.
    eras: Mutex<Vec<u64>>,
    /// The number of the last message, by which copies of it are recognised.
    last_message: AtomicU64,
    received: messages::Received,
    pub(crate) generations: Arc<Generations>,
    pub(crate) unreleased: UnreleasedKeys,
    pub(crate) uncacheable: Uncacheable,
    pub(crate) journalled: Arc<Journalled>,
    pub(crate) epochs: Epochs,
    pub(crate) broadcaster: Broadcaster,
    pub(crate) presence: Arc<Presence>,
    pub(crate) statistics: Arc<ServiceStatistics>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) trail: Trail,
    /// `None` if nothing is sampled.
    pub(crate) samples: Option<Samples>,
    heat: Mutex<Heat>,
    pub(crate) records: Arc<Records>,
    /// `None` if the audit is disabled.
    pub(crate) audit: Option<Arc<Audit>>,
    pools: Arc<Pools>,
    pub(crate) prefetch: Arc<Prefetch>,
    kinds: Mutex<BTreeMap<&'static str, Arc<dyn AnyKind>>>,
    /// The kinds of the lists of ids, by the name of the rows' kind.
    companions: Mutex<BTreeMap<&'static str, register::Companion>>,
    /// Kinds written here without a registered strategy; each is logged once.
    unregistered: Mutex<BTreeSet<&'static str>>,
    pub(crate) origin: OriginGuard,
    /// Those that begin with the process.
    pub(crate) warm_ups: WarmUps,
    pub(crate) hot_tables: HotTables,
    /// True if every hit of a query is compared with a load: in tests.
    pub(crate) is_strict: AtomicBool,
    sweeps: sweeps::Sweeps,
}

impl Tiers {
    pub(crate) fn new(
        config: CacheConfig,
        instance: u64,
        map: ShardMap,
        generations: Arc<Generations>,
        statistics: Arc<ServiceStatistics>,
    ) -> Self {
        let is_cluster = map.is_cluster();
        let enabled = is_cluster || map.all().any(|shard| shard.tier.is_some());
        let remote = map.all().any(|shard| shard.link.is_remote());
        let epoch_keys = epochs::keys(Namespace(&config.namespace), is_cluster);
        let shards = Shards::new(map);
        let prefetch = Prefetch::new(&config, &generations);
        Self {
            tasks: Tasks::new(shards.clone(), Arc::clone(&statistics)),
            hot_tables: HotTables::new(Arc::clone(&statistics), config.load_timeout),
            statistics,
            instance,
            enabled,
            remote,
            shards,
            journalled_shards: AtomicBool::new(false),
            eras: Mutex::new(vec![0; epoch_keys.len()]),
            epoch_keys,
            last_message: AtomicU64::new(0),
            received: messages::Received::new(is_cluster),
            uncacheable: Uncacheable::new(Arc::clone(&generations)),
            generations,
            unreleased: UnreleasedKeys::default(),
            journalled: Arc::default(),
            epochs: Epochs::new(remote),
            broadcaster: Broadcaster::new(),
            presence: Arc::new(Presence::new(Namespace(&config.namespace))),
            trail: Trail::new(),
            heat: Mutex::new(Heat::new(Moment::now())),
            samples: (config.analytics && enabled).then(Samples::new),
            records: Arc::new(Records::new(match config.analytics {
                true => config.analytics_keys,
                false => 0,
            })),
            audit: Audit::new(&config),
            pools: Arc::new(Pools::new(config.l1_capacity_bytes)),
            prefetch,
            kinds: Mutex::default(),
            companions: Mutex::default(),
            unregistered: Mutex::default(),
            origin: OriginGuard::new(config.source_concurrency),
            warm_ups: WarmUps::default(),
            is_strict: AtomicBool::new(false),
            sweeps: sweeps::Sweeps::default(),
            config,
        }
    }

    pub(crate) fn namespace(&self) -> Namespace<'_> {
        Namespace(&self.config.namespace)
    }

    /// Returns true if the cache is enabled.
    #[inline]
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Returns true if values are shared through servers.
    #[inline]
    pub(crate) fn is_remote(&self) -> bool {
        self.remote
    }

    /// Removes all local entries when a shard's generation has used up half of
    /// its range. Called far more often than that happens.
    pub(crate) fn end_round(&self) {
        for shard in self.map().shards() {
            if shard.ends_half_a_round() {
                self.empty_local();
            }
        }
    }

    /// Removes all local entries, and the rows that were fetched on a guess.
    fn empty_local(&self) {
        self.pools.empty();
        self.prefetch.clear();
    }

    /// Returns how the hits of a pool would change with another capacity.
    pub(crate) fn curve(&self, part: Part) -> Option<Curve> {
        self.pools.curve(part)
    }

    /// Returns true if this process keeps local entries.
    pub(crate) fn has_local_tier(&self) -> bool {
        !self.config.max_staleness.is_zero() && self.is_enabled()
    }

    /// Returns the reason why a key must not be read from Redis now, if any.
    /// Call it after taking the stamp, because a reader of the new generation
    /// must see the key as unreleased.
    pub(crate) fn bypass_for(&self, key: &Key) -> Option<Bypass> {
        if !self.is_enabled() {
            Some(Bypass::Disabled)
        } else if !self.is_usable_for(key) {
            Some(Bypass::RedisUnavailable)
        } else if self.unreleased.contains(key) {
            Some(Bypass::Unreleased)
        } else {
            None
        }
    }

    /// Returns the prefix of every key of a kind.
    pub(crate) fn prefix(&self, kind: &str) -> String {
        self.namespace().prefix(kind)
    }

    /// Records an event of a key.
    pub(crate) fn record_event(&self, key: &Key, event: Event) {
        self.trail.note(key.hash(), event);
    }

    /// Waits for a slot at the database while Redis is unavailable; `None` if
    /// none became free in time.
    pub(crate) async fn place_at_source(&self) -> Option<Arc<Place>> {
        let place = self.origin.place().await;
        if place.is_none() {
            self.statistics.error("source_overloaded");
        }
        place
    }

    /// Returns every kind cached here.
    pub(crate) fn kinds(&self) -> BTreeMap<&'static str, Arc<dyn AnyKind>> {
        self.kinds.lock().clone()
    }

    /// Returns the kind of a raw key, if it is cached here.
    pub(crate) fn kind_of(&self, key: &str) -> Option<&'static str> {
        let kinds = self.kinds.lock();
        kinds
            .keys()
            .copied()
            .find(|kind| key.starts_with(&self.prefix(kind)))
    }
}

impl fmt::Debug for Tiers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tiers")
            .field("instance", &self.instance)
            .field("shards", &self.map().shards())
            .finish_non_exhaustive()
    }
}
