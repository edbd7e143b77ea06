//! Deterministic simulation of the library under faults.
//!
//! Three instances of the real library, connections included, run on one
//! thread. The clock advances only when nothing can run. Network, servers,
//! Sentinels, clusters and database are simulated (`network`, `server`, `group`,
//! `sentinels`, `cluster`, `database`). Faults are drawn from a seed (`plan`,
//! `failovers`, `resharding`, `elections`, `upheavals`), or fixed by a plan (`directed`), and the history checker of other tests
//! judges the results (`judge`). A seed determines the whole run.
//!
//! `ASIDE_SIM_SEED=17 cargo test -p aside --lib simulation::tests::replay --
//! --ignored --nocapture` shows one world.

mod host;
mod commands;
mod server;
mod network;
mod mesh;
mod group;
mod sentinels;
mod hero;
mod cluster;
mod database;
mod heroes;
mod instance;
mod clients;
mod direction;
mod plan;
mod failovers;
mod resharding;
mod elections;
mod upheavals;
mod directed;
mod topology;
mod judge;
mod tests;
mod queries;
mod expiry;
mod advice;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aside_testkit::history::{Fault, Read, Settled, Time};
use fastrand::Rng;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use self::cluster::Cluster;
use self::database::Database;
use self::instance::Instance;
use self::judge::Judgement;
use self::network::Network;
use self::plan::Scenario;
use self::sentinels::Sentinels;
use self::server::Server;
use self::topology::Topology;
use crate::config::prefetch::PrefetchMode;
use crate::runtime::simulated::{self, Process, Rule};

/// The number of processes at a time.
const INSTANCES: usize = 3;

/// H, P and the timeout of one operation, all shorter than in production, so
/// that more happens per second.
const MAX_STALENESS: Duration = Duration::from_millis(200);
const JOURNAL_POLL: Duration = Duration::from_millis(200);
const OPERATION_TIMEOUT: Duration = Duration::from_millis(100);

/// The time after which nothing can be pending: quarantines have expired, and
/// every instance has noticed a lost connection.
const SETTLING: Duration = Duration::from_millis(2500);

/// The clock of the histories; it never returns the same time twice.
#[derive(Clone)]
struct Clock {
    begun: Instant,
    moments: Arc<AtomicU64>,
}

impl Clock {
    fn now(&self) -> Time {
        let moment = self.moments.fetch_add(1, Ordering::Relaxed);
        let elapsed = self.begun.elapsed() + Duration::from_nanos(moment);
        Time::from_nanos(u64::try_from(elapsed.as_nanos()).expect("a short world"))
    }
}

/// A log of every event, if enabled.
#[derive(Clone)]
struct Trace(Option<Arc<Mutex<String>>>, Instant);

impl Trace {
    fn note(&self, tell: impl FnOnce(&mut String)) {
        if let Some(text) = &self.0 {
            let mut text = text.lock();
            let _ = write!(text, "{:6} ", self.1.elapsed().as_millis());
            tell(&mut text);
            text.push('\n');
        }
    }
}

/// The records of a run.
#[derive(Default)]
struct Records {
    reads: Vec<Read>,
    faults: Vec<Fault>,
    settled: Vec<Settled>,
    failed_reads: u64,
    /// When Redis was unavailable or lost data, until no instance had pending
    /// operations.
    outages: Vec<(Time, Time)>,
    /// Outages that did not end.
    stuck: Vec<String>,
}

struct World {
    clock: Clock,
    trace: Trace,
    url: String,
    server: Arc<Server>,
    network: Arc<Network>,
    sentinels: Option<Arc<Sentinels>>,
    cluster: Option<Arc<Cluster>>,
    database: Arc<Database>,
    records: Mutex<Records>,
    /// By place; `None` while its process is dead.
    instances: Mutex<[Option<Arc<Instance>>; INSTANCES]>,
    /// The percentage of operations that are writes.
    writes: u32,
    /// True if whole kinds are written, which weakens the promises.
    writes_all: bool,
    /// True if values expire soon, and are refreshed before.
    refreshes: bool,
    prefetch: PrefetchMode,
    /// True if a third of the reads are of a query.
    has_queries: bool,
    /// True in the worlds of [`Scenario::Directed`], whose instances have no clients.
    is_directed: bool,
    /// When the clients stop.
    until: Instant,
}

impl World {
    fn new(
        topology: Topology,
        scenario: Scenario,
        reads: Reads,
        (clock, trace): (Clock, Trace),
        rng: &mut Rng,
    ) -> Self {
        let database = Database::new(
            scenario.database_pace(rng),
            scenario.loses_answers(),
            rng.fork(),
            clock.clone(),
            trace.clone(),
        );
        Self {
            until: clock.begun + scenario.lasting(),
            clock,
            trace,
            url: topology.url,
            server: topology.server,
            network: topology.network,
            sentinels: topology.sentinels,
            cluster: topology.cluster,
            database,
            records: Mutex::default(),
            instances: Mutex::default(),
            writes: scenario.writes(rng),
            writes_all: rng.u32(..4) == 0 || scenario == Scenario::Refreshes,
            refreshes: scenario == Scenario::Refreshes,
            prefetch: reads.prefetch,
            has_queries: reads.has_queries,
            is_directed: matches!(scenario, Scenario::Directed(_)),
        }
    }

    /// Returns the fates of prefetched rows, of all instances.
    fn prefetched(&self) -> BTreeMap<&'static str, u64> {
        let instances = self.instances.lock();
        let caches = instances.iter().flatten().map(|it| it.cache.stats());
        let mut prefetched = BTreeMap::new();
        for (fate, count) in caches
            .flat_map(|stats| stats.kinds)
            .flat_map(|kind| kind.prefetched)
        {
            *prefetched.entry(fate).or_default() += count;
        }
        prefetched
    }

    /// Returns the reads of queries that a tier served, of all instances.
    fn query_hits(&self) -> u64 {
        let instances = self.instances.lock();
        let caches = instances.iter().flatten().map(|it| it.cache.stats());
        let kinds = caches.flat_map(|stats| stats.kinds);
        let queries = kinds.filter(|kind| kind.kind == "query");
        queries.map(|kind| kind.l1_hits + kind.l2_hits).sum()
    }

    fn fault(&self, what: &str) {
        self.trace.note(|text| text.push_str(what));
        let fault = Fault {
            at: self.clock.now(),
            what: what.into(),
        };
        self.records.lock().faults.push(fault);
    }

    fn instance(&self, place: usize) -> Option<Arc<Instance>> {
        self.instances.lock()[place].clone()
    }

    /// Starts a process at `place`, the successor of the previous one, and its
    /// clients.
    fn start(self: &Arc<Self>, place: usize, rng: &mut Rng) {
        let number = match self.instance(place) {
            Some(before) => before.process.number + INSTANCES,
            None => place,
        };
        // Wall clocks differ by less than makes a quarantine implausible.
        let ahead = rng.i64(-20_000..20_000);
        // Between clocks that differ more than a TTL lasts, no value is refreshed.
        let ahead = if self.refreshes { ahead / 200 } else { ahead };
        let process = Process::new(number, ahead);
        let (world, clients_rng) = (Arc::clone(self), rng.fork());
        let within = Arc::clone(&process);
        process.spawn(async move {
            let instance = Arc::new(Instance::connect(&world, within).await);
            instance.cache.prefetch(world.prefetch);
            world.instances.lock()[place] = Some(Arc::clone(&instance));
            clients::start(&world, &instance, clients_rng);
        });
    }

    /// Waits until every instance trusts Redis and has no pending operations.
    async fn settled(&self) {
        let peaceful = |instance: &Option<Arc<Instance>>| {
            instance
                .as_ref()
                .is_none_or(|instance| instance.is_at_peace())
        };
        while !self.instances.lock().iter().all(peaceful) {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The result of a run.
struct Ended {
    judgement: Judgement,
    /// Outages that did not end.
    stuck: Vec<String>,
    /// Empty unless enabled.
    trace: String,
    /// Rows that were fetched before they were read, by fate.
    prefetched: BTreeMap<&'static str, u64>,
    /// Reads of queries that a tier served.
    query_hits: u64,
}

/// Causes the faults of a scenario.
async fn rage(world: &Arc<World>, scenario: Scenario, rng: &mut Rng) {
    match (scenario, &world.sentinels, &world.cluster) {
        (_, Some(sentinels), _) => failovers::rage(world, sentinels, rng).await,
        (Scenario::Slots, _, Some(cluster)) => {
            resharding::rage(world, cluster, rng).await;
        }
        (Scenario::Upheavals, _, Some(cluster)) => {
            upheavals::rage(world, cluster, rng).await;
        }
        (Scenario::Directed(direction), _, Some(cluster)) => {
            directed::act(world, cluster, direction, rng).await;
        }
        (_, _, Some(cluster)) => elections::rage(world, cluster, rng).await,
        _ => plan::rage(world, scenario, rng).await,
    }
}

/// Runs one world.
fn run(seed: u64, scenario: Scenario, without: Option<Rule>, traced: bool) -> Ended {
    run_with(Reads::PLAIN, seed, scenario, without, traced)
}

/// The reads of a world, besides those of each.
#[derive(Clone, Copy)]
struct Reads {
    /// With the prefetch each client reads its keys in turn, so that their order can be
    /// learnt.
    prefetch: PrefetchMode,
    has_queries: bool,
}

impl Reads {
    const PLAIN: Self = Self {
        prefetch: PrefetchMode::Off,
        has_queries: false,
    };
}

/// Runs one world with these reads.
fn run_with(
    reads: Reads,
    seed: u64,
    scenario: Scenario,
    without: Option<Rule>,
    traced: bool,
) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // The library's random numbers.
    fastrand::seed(seed);
    let mut rng = Rng::with_seed(seed);
    runtime.block_on(async {
        let within = simulated::begin(without);
        let now = Instant::now();
        let clock = Clock {
            begun: now,
            moments: Arc::default(),
        };
        let trace = Trace(traced.then(Arc::default), now);
        let topology = Topology::of(scenario, &mut rng, &trace);
        let connecting = Arc::clone(&topology.network);
        within.connects_by(Arc::new(move |process, address| {
            connecting.connect(process, address)
        }));
        let world = Arc::new(World::new(
            topology,
            scenario,
            reads,
            (clock, trace.clone()),
            &mut rng,
        ));
        for place in 0..INSTANCES {
            world.start(place, &mut rng);
        }
        rage(&world, scenario, &mut rng).await;
        let settled = match scenario {
            // Nothing is pending.
            Scenario::Directed(_) => Instant::now(),
            _ => world.until + SETTLING,
        };
        tokio::time::sleep_until(settled).await;
        instance::look_around(&world).await;
        let records = std::mem::take(&mut *world.records.lock());
        let stuck = records.stuck.clone();
        let judgement = Judgement::of(records, &world.database, scenario);
        let trace = trace.0.map(|text| text.lock().clone()).unwrap_or_default();
        let prefetched = world.prefetched();
        Ended {
            judgement,
            stuck,
            trace,
            prefetched,
            query_hits: world.query_hits(),
        }
    })
}
