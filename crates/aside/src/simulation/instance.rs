//! An instance of the service: a process that runs the library.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use aside_redis::Secret;
use aside_testkit::history::{Settled, State};

use super::cluster::{PORT, name_of};
use super::commands::string;
use super::database::{Failure, JournalTable};
use super::hero::{Hero, HeroIndex, KEYS, QUERY};
use super::heroes::Heroes;
use super::{INSTANCES, JOURNAL_POLL, MAX_STALENESS, OPERATION_TIMEOUT, World};
use crate::answer::Freshness;
use crate::cached_repository::CachedRepository;
use crate::config::CacheConfig;
use crate::config::history::RedisHistory;
use crate::entity::key::Key;
use crate::entity::strategy::CacheStrategy;
use crate::query::{CachedQuery, Deps};
use crate::redis::locator::of_epoch;
use crate::redis::server;
use crate::repository::Row;
use crate::runtime::simulated::{Process, Rule, without};
use crate::service::CacheService;

/// Values that expire within a world, and are refreshed before.
#[derive(Debug)]
struct Refreshed;

impl CacheStrategy<Hero> for Refreshed {
    fn default_ttl(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn early_refresh(&self) -> Option<f64> {
        Some(0.5)
    }
}

pub(super) struct Instance {
    pub(super) process: Arc<Process>,
    pub(super) cache: CacheService,
    pub(super) heroes: CachedRepository<Heroes>,
    /// `None` in worlds without queries.
    query: Option<CachedQuery<(), Vec<Hero>>>,
    /// The number of writes in progress.
    pub(super) writing: AtomicUsize,
}

impl Instance {
    /// Connects the library within a process, which must be the running one.
    pub(super) async fn connect(world: &World, process: Arc<Process>) -> Self {
        let database = &world.database;
        let cache = CacheService::connect(config(&world.url)).await;
        if !without(Rule::Journal) {
            cache.poll_journal(JournalTable(Arc::clone(database))).await;
        }
        let heroes = Heroes {
            database: Arc::clone(database),
            process: process.number,
        };
        let heroes = CachedRepository::new(heroes, &cache);
        let heroes = match world.refreshes {
            true => heroes.with_strategy(Refreshed),
            false => heroes,
        };
        let query = || CachedQuery::new("query", &cache);
        Self {
            heroes,
            query: world.has_queries.then(query),
            cache,
            process,
            writing: AtomicUsize::new(0),
        }
    }

    /// Returns its name in histories, unique among all processes of the run.
    pub(super) fn name(process: usize) -> String {
        format!("{}.{}", process % INSTANCES, process / INSTANCES)
    }

    /// Returns true if it trusts Redis and has no pending operations.
    pub(super) fn is_at_peace(&self) -> bool {
        // A dead one must not start tasks, outside of its process.
        if self.process.is_dead() {
            return false;
        }
        let tiers = self.cache.tiers();
        tiers.is_usable() && tiers.is_drained() && tiers.unreleased.len() == 0
    }

    /// Returns true if it uses the server with this replication id.
    pub(super) fn follows(&self, replication_id: &str) -> bool {
        let map = self.cache.tiers().map();
        let shards = map.shards();
        let info = string(&format!("master_replid:{replication_id}"));
        let history = server::history(&info, RedisHistory::default());
        let history = history.expect("a history");
        // By whichever failover: no world has as many.
        let promoted = |known: u64| (0..1_000).any(|epoch| of_epoch(history, epoch) == known);
        shards.iter().all(|it| promoted(it.link.server_history()))
    }

    /// Returns true if its map has these nodes of a cluster.
    pub(super) fn uses(&self, primaries: &[usize]) -> bool {
        let map = self.cache.tiers().map();
        let uses = |primary: &usize| map.shard_at(&name_of(*primary), PORT).is_some();
        map.shards().len() == primaries.len() && primaries.iter().all(uses)
    }

    /// Returns true if it may send operations on a key, and sends them to this node.
    pub(super) fn sends_to(&self, key: &Key, node: usize) -> bool {
        let map = self.cache.tiers().map();
        let at = &map.shard_of(key).node;
        self.may_use(key) && at.as_ref().is_some_and(|it| it.is_at(&name_of(node), PORT))
    }

    /// Returns true if the shard of a key may be used.
    pub(super) fn may_use(&self, key: &Key) -> bool {
        self.cache.tiers().is_usable_for(key)
    }

    /// Returns the number of reads that were served locally.
    pub(super) fn local_hits(&self) -> u64 {
        let report = self.cache.stats();
        report.kinds.iter().map(|kind| kind.l1_hits).sum()
    }

    /// Reads the state of a key of the history.
    pub(super) async fn read(&self, key: &str, freshness: Freshness) -> Result<State, Failure> {
        let name = key.strip_prefix("hero:name:");
        let heroes = &self.heroes;
        if key == QUERY {
            self.read_query().await
        } else if let Some(name) = name {
            let index = HeroIndex::Name(name.to_owned());
            let answer = heroes.find_by_with(&index, freshness).await?;
            Ok(list(&answer.value))
        } else if key == "hero:all" {
            Ok(list(&heroes.list_all_with(freshness).await?.value))
        } else {
            let id = key["hero:".len()..].parse().expect("an id");
            Ok(row(heroes.find_by_id_with(&id, freshness).await?.value))
        }
    }

    /// Reads the query, whose keys may belong to different shards.
    async fn read_query(&self) -> Result<State, Failure> {
        let query = self.query.as_ref().expect("a world of queries");
        let name = HeroIndex::Name("a".to_owned());
        let deps = Deps::new().row::<Hero>(&1).list::<Hero>(&name);
        let database = Arc::clone(&self.heroes.source().database);
        let load = move || async move { Ok::<_, Failure>(database.query().await) };
        let result = query.get(&(), deps, load).await;
        Ok(list(&result.map_err(|failure| *failure)?))
    }
}

pub(super) fn row(found: Option<Row<Heroes>>) -> State {
    State::from(found.map(|row| row.version))
}

/// Returns no state for an empty list, which cannot show its version.
fn list(rows: &[impl Borrow<Hero>]) -> State {
    let mut rows = rows.iter().map(Borrow::borrow).peekable();
    match rows.peek().map(|first| first.list) {
        Some(version) => State::list(version, rows.map(Hero::member)),
        None => State::Absent(None),
    }
}

fn config(url: &str) -> CacheConfig {
    // A node of a cluster may be suspended for longer.
    let is_cluster = url.starts_with("redis+cluster:");
    let socket_timeout = if is_cluster { 2_000 } else { 600 };
    CacheConfig {
        redis_url: Secret::new(url),
        // Two for commands, and the watcher's.
        redis_max_connections: 3,
        redis_socket_timeout: Duration::from_millis(socket_timeout),
        operation_timeout: OPERATION_TIMEOUT,
        max_staleness: MAX_STALENESS,
        quarantine_ttl: Duration::from_secs(1),
        lease_ttl: Duration::from_millis(300),
        journal_poll: JOURNAL_POLL,
        l1_capacity_bytes: 1 << 20,
        // They prove nothing, and would change the order of events in every world.
        heartbeat: Duration::ZERO,
        // Minutes are longer than a world.
        hot_set: false,
        warm_up: None,
        ..CacheConfig::default()
    }
}

/// Reads every key on every instance, after the last write.
pub(super) async fn look_around(world: &Arc<World>) {
    for place in 0..INSTANCES {
        let Some(instance) = world.instance(place) else {
            continue;
        };
        let name: Arc<str> = Instance::name(instance.process.number).into();
        let looking = Arc::clone(&instance);
        let world_there = Arc::clone(world);
        let looks = instance.process.spawn(async move {
            let query = world_there.has_queries.then_some(QUERY);
            for key in KEYS.into_iter().chain(query) {
                let seen = match looking.read(key, Freshness::Any).await {
                    Ok(seen) => seen,
                    Err(_) => continue,
                };
                let truth = world_there.database.truth(key);
                let settled = Settled {
                    instance: Arc::clone(&name),
                    key: key.into(),
                    seen: comparable(seen, &truth),
                    truth,
                };
                world_there.records.lock().settled.push(settled);
            }
        });
        looks.await.expect("a live instance");
    }
}

/// Gives an absence the version of the database, because it has none.
fn comparable(seen: State, truth: &State) -> State {
    match (&seen, truth) {
        (State::Absent(None), State::Absent(version)) => State::Absent(*version),
        _ => seen,
    }
}
