//! The end of TTLs: how many reads wait for a load, and when the loads come.
//!
//! Ten instances of the library share one `memory://`, under a paused clock. All
//! values are filled at one moment, and reads come at a constant rate, some keys far
//! more often than others. `ASIDE_SIM_TTLS=20 cargo test --release -p aside --lib
//! expiry -- --ignored --nocapture` counts at full size.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aside_redis::Secret;
use fastrand::Rng;
use futures_util::poll;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use super::tests::number;
use crate::cached_repository::CachedRepository;
use crate::config::CacheConfig;
use crate::entity::Rows;
use crate::entity::example::Hero;
use crate::entity::strategy::CacheStrategy;
use crate::repository::{Overloaded, Row, Source};
use crate::runtime::simulated;
use crate::service::CacheService;

const INSTANCES: usize = 10;
const TTL: Duration = Duration::from_secs(300);

/// Loads that the database runs at once.
const WORKERS: usize = 16;

/// The window in which loads are counted for their peak.
const WINDOW: u128 = 100;

#[derive(Clone, Copy)]
struct Scenario {
    keys: u32,
    reads_per_second: u32,
    load: Duration,
    ttls: u64,
}

/// How the end of a TTL is met.
#[derive(Clone, Copy, Debug)]
struct Means {
    early: Option<f64>,
}

impl CacheStrategy<Hero> for Means {
    fn default_ttl(&self) -> Option<Duration> {
        Some(TTL)
    }

    fn early_refresh(&self) -> Option<f64> {
        self.early
    }
}

/// A database whose loads take their time.
struct Database {
    load: Duration,
    workers: Semaphore,
    /// False while the values are filled at first.
    is_slow: AtomicBool,
    begun: Instant,
    loads: Mutex<Loads>,
}

#[derive(Default)]
struct Loads {
    count: u64,
    by_window: BTreeMap<u128, u64>,
    running: HashSet<u32>,
    /// Loads of a key that another load of the key had not ended before.
    overlapping: u64,
}

/// A source over one database, as each instance has one.
struct Heroes(Arc<Database>);

impl Source for Heroes {
    type Entity = Hero;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Row<Self>>, Infallible> {
        let database = &self.0;
        if database.is_slow.load(Ordering::Relaxed) {
            {
                let mut loads = database.loads.lock();
                loads.count += 1;
                let window = database.begun.elapsed().as_millis() / WINDOW;
                *loads.by_window.entry(window).or_default() += 1;
                loads.overlapping += u64::from(!loads.running.insert(*id));
            }
            let worker = database.workers.acquire().await;
            sleep(database.load).await;
            drop(worker);
            database.loads.lock().running.remove(id);
        }
        Ok(Some(Arc::new(Hero(*id))))
    }

    async fn list_all(&self) -> Result<Rows<Hero>, Infallible> {
        Ok(Arc::new([]))
    }

    fn overloaded(&self, _: Overloaded) -> Infallible {
        unreachable!("no load takes so long")
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Counted {
    reads: u64,
    /// Reads that waited.
    stalled: u64,
    /// The most loads that began within a window.
    peak: u64,
    loads: u64,
    overlapping: u64,
}

/// Draws keys, the first far more often than the last (Zipf, 0.99).
struct Keys(Vec<f64>);

impl Keys {
    fn new(count: u32) -> Self {
        let mut sum = 0.0;
        let weights = (1..=count).map(|rank| {
            sum += f64::from(rank).powf(-0.99);
            sum
        });
        Self(weights.collect())
    }

    fn draw(&self, rng: &mut Rng) -> u32 {
        let all = self.0.last().expect("keys");
        let drawn = rng.f64() * all;
        let at = self.0.partition_point(|sum| *sum < drawn);
        u32::try_from(at).expect("a small number")
    }
}

async fn instances(database: &Arc<Database>, means: Means) -> Vec<CachedRepository<Heroes>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        let config = CacheConfig {
            redis_url: Secret::new(format!("memory://expiry-{number}")),
            ..CacheConfig::default()
        };
        let cache = CacheService::connect(config).await;
        let heroes = CachedRepository::new(Heroes(Arc::clone(database)), &cache);
        instances.push(heroes.with_strategy(means));
    }
    instances
}

/// Reads one row. Returns true if the read waited.
async fn read(heroes: CachedRepository<Heroes>, id: u32) -> bool {
    let begun = Instant::now();
    let Ok(found) = heroes.find_by_id(&id).await;
    assert_eq!(found.expect("a row").0, id);
    begun.elapsed() > Duration::ZERO
}

async fn count(scenario: Scenario, means: Means) -> Counted {
    let database = Arc::new(Database {
        load: scenario.load,
        workers: Semaphore::new(WORKERS),
        is_slow: AtomicBool::new(false),
        begun: Instant::now(),
        loads: Mutex::default(),
    });
    let instances = instances(&database, means).await;
    for id in 0..scenario.keys {
        read(instances[0].clone(), id).await;
    }
    database.is_slow.store(true, Ordering::Relaxed);
    let (keys, mut rng) = (Keys::new(scenario.keys), Rng::with_seed(1));
    let reads = u64::from(scenario.reads_per_second) * scenario.ttls * TTL.as_secs();
    let (stalled, begun) = (Arc::<AtomicU64>::default(), Instant::now());
    for number in 0..reads {
        // Timers have whole milliseconds, and reads of one millisecond come together.
        let due = number * 1_000 / u64::from(scenario.reads_per_second);
        let due = begun + Duration::from_millis(due);
        if Instant::now() < due {
            sleep_until(due).await;
        }
        let heroes = rng.choice(&instances).expect("instances").clone();
        let mut reading = Box::pin(read(heroes, keys.draw(&mut rng)));
        if poll!(pin!(&mut reading)).is_pending() {
            let stalled = Arc::clone(&stalled);
            tokio::spawn(async move {
                let waited = reading.await;
                stalled.fetch_add(u64::from(waited), Ordering::Relaxed);
            });
        }
    }
    sleep(scenario.load * 10).await;
    let loads = database.loads.lock();
    Counted {
        reads,
        stalled: stalled.load(Ordering::Relaxed),
        peak: loads.by_window.values().copied().max().unwrap_or(0),
        loads: loads.count,
        overlapping: loads.overlapping,
    }
}

/// Counts a scenario with jitter alone, and with early refresh as well.
fn both(scenario: Scenario) -> [Counted; 2] {
    [None, Some(0.1)].map(|early| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        fastrand::seed(1);
        runtime.block_on(async {
            let _world = simulated::begin(None);
            let counted = count(scenario, Means { early }).await;
            println!("early refresh {early:?}: {counted:?}");
            counted
        })
    })
}

/// Many keys, each read a few times in the last tenth of its TTL.
const MANY: Scenario = Scenario {
    keys: 1_000,
    reads_per_second: 2_000,
    load: Duration::from_millis(50),
    ttls: 20,
};

/// Few keys whose loads are slow, so that crowds wait for them.
const SLOW: Scenario = Scenario {
    keys: 20,
    reads_per_second: 2_000,
    load: Duration::from_secs(1),
    ttls: 20,
};

#[test]
fn reads_hardly_wait_at_the_end_of_a_ttl() {
    let [jitter, early] = both(Scenario {
        keys: 100,
        reads_per_second: 200,
        ttls: 2,
        ..MANY
    });
    assert!(jitter.stalled > 100, "{jitter:?}");
    assert!(
        early.stalled * 20 <= jitter.stalled,
        "{early:?}, {jitter:?}"
    );
    assert!(early.loads * 4 <= jitter.loads * 5, "{early:?}, {jitter:?}");
    assert_eq!((early.overlapping, jitter.overlapping), (0, 0));
}

#[test]
#[ignore = "counts for minutes"]
fn early_refresh_meets_its_targets_at_full_size() {
    let ttls = number("ASIDE_SIM_TTLS").unwrap_or(20);
    let [jitter, early] = both(Scenario { ttls, ..MANY });
    assert!(early.stalled <= 50, "{early:?}");
    assert!(early.peak <= 15, "{early:?}");
    assert!(
        early.loads * 100 <= jitter.loads * 112,
        "{early:?}, {jitter:?}"
    );
    assert_eq!(early.overlapping, 0);
    let [jitter, early] = both(Scenario { ttls, ..SLOW });
    assert_eq!((early.stalled, early.overlapping), (0, 0));
    assert!(
        early.loads * 10 <= jitter.loads * 12,
        "{early:?}, {jitter:?}"
    );
}
