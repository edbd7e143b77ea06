//! An instance of the service: a process with the library in it.

use std::sync::Arc;
use std::time::Duration;

use aside_testkit::history::{Settled, State};
use fastrand::Rng;

use super::database::JournalTable;
use super::heroes::Heroes;
use super::{INSTANCES, JOURNAL_POLL, MAX_STALENESS, OPERATION_TIMEOUT, World, clients};
use crate::cached_repository::CachedRepository;
use crate::config::CacheConfig;
use crate::config::secret::Secret;
use crate::runtime::simulated::{Process, Rule, without};
use crate::service::CacheService;

pub(super) struct Instance {
    pub(super) process: Arc<Process>,
    pub(super) cache: CacheService,
    pub(super) heroes: CachedRepository<Heroes>,
}

impl Instance {
    /// As histories name it: one for every process that ever was.
    pub(super) fn name(process: usize) -> String {
        format!("{}.{}", process % INSTANCES, process / INSTANCES)
    }

    /// Whether it is in step with Redis, and owes it nothing.
    pub(super) fn is_at_peace(&self) -> bool {
        let tiers = self.cache.tiers();
        tiers.is_usable() && tiers.owes_nothing() && tiers.held.len() == 0
    }
}

fn config() -> CacheConfig {
    CacheConfig {
        redis_url: Secret::new("redis://world"),
        // Two for commands, and the watcher's.
        redis_max_connections: 3,
        redis_socket_timeout: Duration::from_millis(600),
        operation_timeout: OPERATION_TIMEOUT,
        max_staleness: MAX_STALENESS,
        quarantine_ttl: Duration::from_secs(1),
        lease_ttl: Duration::from_millis(300),
        journal_poll: JOURNAL_POLL,
        l1_capacity_bytes: 1 << 20,
        ..CacheConfig::default()
    }
}

/// Starts a process at `place`, the successor of what was there before.
pub(super) fn start(world: &Arc<World>, place: usize, rng: &mut Rng) {
    let number = match world.instance(place) {
        Some(before) => before.process.number + INSTANCES,
        None => place,
    };
    // Wall clocks differ, by less than a quarantine may be implausible.
    let process = Process::new(number, rng.i64(-20_000..20_000));
    let (world, clients_rng) = (Arc::clone(world), rng.fork());
    let within = Arc::clone(&process);
    process.spawn(async move {
        let cache = CacheService::connect(config()).await;
        if !without(Rule::Journal) {
            let table = JournalTable(Arc::clone(&world.database));
            cache.drain(table).await;
        }
        let heroes = Heroes {
            database: Arc::clone(&world.database),
            process: number,
        };
        let instance = Arc::new(Instance {
            heroes: CachedRepository::new(heroes, &cache),
            cache,
            process: within,
        });
        world.instances.lock()[place] = Some(Arc::clone(&instance));
        clients::start(&world, &instance, clients_rng);
    });
}

/// Lets every instance say what it knows, now that nothing is written.
pub(super) async fn look_around(world: &Arc<World>) {
    for place in 0..INSTANCES {
        let Some(instance) = world.instance(place) else {
            continue;
        };
        let name: Arc<str> = Instance::name(instance.process.number).into();
        let looking = Arc::clone(&instance);
        let world_there = Arc::clone(world);
        let looks = instance.process.spawn(async move {
            for key in clients::KEYS {
                let seen = match clients::read(&looking, key, crate::Freshness::Any).await {
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
        looks.await.expect("an instance that lives");
    }
}

/// An absence has no version of its own.
fn comparable(seen: State, truth: &State) -> State {
    match (&seen, truth) {
        (State::Absent(None), State::Absent(version)) => State::Absent(*version),
        _ => seen,
    }
}
