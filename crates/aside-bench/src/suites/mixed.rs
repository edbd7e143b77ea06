//! The workloads A, B, C and D of YCSB, over PostgreSQL: without a cache, with
//! Redis, and with both tiers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, Repository, Secret, Source};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::{JoinSet, block_in_place};

use crate::error::Wrong;
use crate::heroes::id;
use crate::record::Record;
use crate::records::{SqlError, SqlRecords};
use crate::rounds::{Contender, alternate};
use crate::servers;
use crate::table::{Bound, Table, Unit};
use crate::zipf::Zipf;

const NONE: &str = "no cache";
const SHARED: &str = "Redis alone";
const BOTH: &str = "both tiers";

/// YCSB's record: ten fields of a hundred bytes.
const BYTES: usize = 1_000;

const TASKS: usize = 16;

/// Rows without lists, because YCSB reads by key alone.
type Stored = Record<0>;
type Records = SqlRecords<0>;

/// The operations of a workload, and their keys.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    /// Of a hundred operations, how many are reads.
    reads: u8,
    /// The other operations insert, and reads prefer the latest inserts.
    latest: bool,
}

const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "A: half reads, half updates",
        reads: 50,
        latest: false,
    },
    Workload {
        name: "B: 95 reads in 100, else updates",
        reads: 95,
        latest: false,
    },
    Workload {
        name: "C: only reads",
        reads: 100,
        latest: false,
    },
    Workload {
        name: "D: 95 reads in 100 of the latest, else inserts",
        reads: 95,
        latest: true,
    },
];

/// The amount of work.
#[derive(Clone, Copy)]
struct Extent {
    records: u64,
    rounds: usize,
    round: Duration,
    /// Operations of one task that are drawn before the clock runs.
    planned: usize,
}

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let extent = if quick {
        Extent {
            records: 500,
            rounds: 2,
            round: Duration::from_millis(60),
            planned: 500,
        }
    } else {
        Extent {
            records: 100_000,
            rounds: 7,
            round: Duration::from_millis(1_000),
            planned: 1 << 16,
        }
    };
    let postgres = servers::postgres()?;
    let url = postgres.create_database("records");
    let records = Records::create(&url, 1, extent.records, BYTES).await?;
    records.close().await;
    // A separate database each, so that no subject sees another's writes.
    let copy = async |name: &str| {
        let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE records");
        postgres.query("postgres", &sql);
        Records::open(&postgres.url_of(name), TASKS as u32).await
    };
    let none = Subject::new(copy("none").await?, extent.records);
    // A separate server each, so that no subject hits another's entries.
    let (redis, other) = (servers::redis()?, servers::redis()?);
    let shared = cached(copy("shared").await?, &redis.url(), Duration::ZERO).await;
    let shared = Subject::new(shared, extent.records);
    let bound = CacheConfig::default().max_staleness;
    let both = cached(copy("both").await?, &other.url(), bound).await;
    let both = Subject::new(both, extent.records);
    warm(&shared.repository, extent.records).await?;
    warm(&both.repository, extent.records).await?;

    let zipf = Zipf::over(extent.records);
    let mut tables = Vec::new();
    for workload in WORKLOADS {
        let contenders = vec![
            none.contender(NONE, workload, extent, &zipf),
            shared.contender(SHARED, workload, extent, &zipf),
            both.contender(BOTH, workload, extent, &zipf),
        ];
        let rows = alternate(extent.rounds, contenders);
        let title = format!(
            "YCSB {}, {} records, {TASKS} tasks",
            workload.name, extent.records
        );
        let table = Table::of(Unit::PerSecond, title, NONE, rows);
        tables.push(match workload.name.starts_with('B') {
            true => table.wanted(BOTH, Bound::AtLeast(10.0), NONE),
            false => table,
        });
    }
    Ok(tables)
}

async fn cached(records: Records, url: &str, max_staleness: Duration) -> CachedRepository<Records> {
    let config = CacheConfig {
        redis_url: Secret::new(url),
        max_staleness,
        operation_timeout: Duration::from_secs(5),
        // Room for all rows; the suite `simulate` measures smaller tiers.
        l1_capacity_bytes: 512 << 20,
        ..CacheConfig::default()
    };
    CachedRepository::new(records, &CacheService::connect(config).await)
}

/// Reads every record once.
async fn warm(repository: &CachedRepository<Records>, records: u64) -> Result<(), Wrong> {
    let ids: Vec<_> = (0..records).map(id).collect();
    for ids in ids.chunks(1_000) {
        let rows = repository.find_many(ids).await;
        let rows = rows.map_err(|error| Wrong(error.to_string()))?;
        if !rows
            .iter()
            .flatten()
            .map(|row| row.id)
            .eq(ids.iter().copied())
        {
            return Err(Wrong(
                "a batch has other rows than were requested".to_owned(),
            ));
        }
    }
    Ok(())
}

/// A repository, and its current number of records.
struct Subject<R> {
    repository: R,
    inserts: Arc<Inserts>,
}

/// The records that were inserted, like YCSB's acknowledged counter: no read
/// requests a record whose insert has not returned.
struct Inserts {
    given: AtomicU64,
    /// All numbers below it are stored.
    stored: AtomicU64,
    /// Numbers stored while a lower one was not.
    ahead: Mutex<BTreeSet<u64>>,
}

impl Inserts {
    fn acknowledge(&self, number: u64) {
        let mut ahead = self.ahead.lock();
        ahead.insert(number);
        let mut stored = self.stored.load(Ordering::Relaxed);
        while ahead.remove(&stored) {
            stored += 1;
        }
        self.stored.store(stored, Ordering::Relaxed);
    }
}

/// The operations of a task: ranks, and for each, if it is read.
type Plan = Vec<(u64, bool)>;

/// The record and version of each read.
type Seen = Vec<(u64, u64)>;

impl<R> Subject<R>
where
    R: Repository<Entity = Stored, Error = SqlError> + Clone,
{
    fn new(repository: R, records: u64) -> Self {
        Self {
            repository,
            inserts: Arc::new(Inserts {
                given: AtomicU64::new(records),
                stored: AtomicU64::new(records),
                ahead: Mutex::default(),
            }),
        }
    }

    fn contender<'a>(
        &'a self,
        name: &str,
        workload: Workload,
        extent: Extent,
        zipf: &'a Zipf,
    ) -> Contender<'a> {
        Contender::with_figures(name, move || {
            let mut random = fastrand::Rng::new();
            let mut plan = || -> Plan {
                let planned = (0..extent.planned)
                    .map(|_| (zipf.draw(&mut random), random.u8(..100) < workload.reads));
                planned.collect()
            };
            let plans = (0..TASKS).map(|_| plan()).collect();
            let round = self.round(workload, extent.round, plans);
            vec![block_in_place(|| Handle::current().block_on(round))]
        })
    }

    /// Works for a while. Returns the operations per second.
    async fn round(&self, workload: Workload, time: Duration, plans: Vec<Plan>) -> f64 {
        let begun = Instant::now();
        let tasks: JoinSet<(usize, Seen)> = plans
            .into_iter()
            .map(|plan| self.work(workload, begun + time, plan))
            .collect();
        let worked = tasks.join_all().await;
        let took = begun.elapsed();
        let mut operations = 0;
        for (count, seen) in worked {
            operations += count;
            check(&seen);
        }
        operations as f64 / took.as_secs_f64()
    }

    /// Runs one task until then.
    fn work(
        &self,
        workload: Workload,
        until: Instant,
        plan: Plan,
    ) -> impl Future<Output = (usize, Seen)> + Send + 'static {
        let (repository, inserts) = (self.repository.clone(), Arc::clone(&self.inserts));
        async move {
            let (mut count, mut seen) = (0, Seen::with_capacity(plan.len()));
            for (rank, is_read) in plan.into_iter().cycle() {
                let number = if workload.latest {
                    inserts.stored.load(Ordering::Relaxed) - 1 - rank
                } else {
                    rank
                };
                if is_read {
                    let found = repository.find_by_id(&id(number)).await;
                    let found = found.expect("a reply of PostgreSQL");
                    let row = found.unwrap_or_else(|| panic!("record {number} is gone"));
                    assert_eq!(row.number, number, "another record");
                    seen.push((number, row.version));
                } else if workload.latest {
                    let number = inserts.given.fetch_add(1, Ordering::Relaxed);
                    let row = repository.save(Stored::new(number, BYTES)).await;
                    assert_eq!(row.expect("PostgreSQL takes it").number, number);
                    inserts.acknowledge(number);
                } else {
                    let row = repository.update(Stored::new(number, BYTES)).await;
                    let row = row.expect("PostgreSQL takes it");
                    let row = row.unwrap_or_else(|| panic!("record {number} is gone"));
                    // The next read of this task must not be older.
                    seen.push((number, row.version));
                }
                count += 1;
                if count % 16 == 0 {
                    if until <= Instant::now() {
                        break;
                    }
                    // A local hit does not wait, so other tasks would never
                    // run.
                    tokio::task::yield_now().await;
                }
            }
            (count, seen)
        }
    }
}

/// Checks that the reader never saw an older version of a record after a newer
/// one.
fn check(seen: &Seen) {
    let mut newest = HashMap::new();
    for (number, version) in seen {
        let before = newest.insert(*number, *version).unwrap_or_default();
        assert!(
            before <= *version,
            "record {number} went back from version {before} to {version}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "record 7 went back from version 3 to 2")]
    fn a_version_that_goes_back_is_detected() {
        check(&vec![(7, 2), (1, 1), (7, 3), (7, 2)]);
    }
}
