//! A restart in the middle of a trace, on a real Redis and PostgreSQL: the first reads of
//! an instance that goes on, of one that starts cold, and of one that reads the hot set.
//!
//! An instance reads the first half of the trace, leaves its hot set and ends. The list is
//! a little older than the restart, as it is in a service that writes one about once a
//! minute: another instance reads the last part of the half without writing a list.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aside::report::WarmUpFrom;
use aside::settings::PrefetchMode;
use aside::{CacheConfig, CacheService, CachedRepository, Freshness, Secret, Source, Tier};
use aside_sqlx::PostgresJournal;
use aside_testkit::RedisServer;
use clap::Args;
use sqlx::postgres::PgPoolOptions;

use crate::error::Wrong;
use crate::heroes::{InMemory, id};
use crate::record::Record;
use crate::records::SqlRecords;
use crate::servers;
use crate::suites::replay::unique;
use crate::table::{Cell, Table};
use crate::trace;

/// The numbers of first reads that are counted.
const FIRST: [usize; 3] = [1_000, 10_000, 50_000];

/// The length of a row's content.
const BYTES: usize = 14;

/// By how many points the first 1,000 reads of a warmed instance may hit less often than
/// without a restart.
const MAX_POINTS: f64 = 5.0;

/// The part of a cold instance's loads that a warmed one may need in the first 1,000 reads,
/// after Redis was emptied.
const MAX_LOADS: f64 = 0.45;

/// How long a warm-up may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How an instance ends and starts.
#[derive(Args)]
pub(crate) struct Options {
    file: PathBuf,
    /// Local entries.
    #[arg(long, default_value_t = 10_000)]
    capacity: usize,
    /// Reads between the list and the restart. Default: a 25th of those before it.
    #[arg(long)]
    age: Option<usize>,
}

/// The servers and the trace.
struct Stage {
    keys: Vec<u64>,
    half: usize,
    l1_capacity_bytes: usize,
    redis: RedisServer,
    records: SqlRecords<0>,
    journal: PostgresJournal,
}

type Cached = CachedRepository<SqlRecords<0>>;

/// The counts of first reads, for each of [`FIRST`].
#[derive(Default)]
struct Counted {
    reads: [u64; 3],
    hits: [u64; 3],
    loads: [u64; 3],
    /// How long each read with a load took.
    took: Vec<Duration>,
}

pub(crate) async fn run(options: &Options) -> Result<(Vec<Table>, Option<Wrong>), Wrong> {
    let postgres = servers::postgres()?;
    let stage = Stage::new(options, &postgres.url()).await?;
    let age = options.age.unwrap_or(stage.half / 25).min(stage.half);
    let staying = stage.start(None).await;
    stage.read(&staying, 0..stage.half).await?;
    let stayed = stage.first_reads(&staying).await?;
    staying.cache().close().await;
    stage.redis.command(&["FLUSHALL"]);

    let leaving = stage.start_keeping_hot_sets().await;
    stage.read(&leaving, 0..stage.half - age).await?;
    settled(&leaving).await;
    leaving.cache().close().await;
    let last = stage.start(None).await;
    stage.read(&last, stage.half - age..stage.half).await?;
    last.cache().close().await;

    let cold = stage.restarted(None).await?;
    let warmed = stage.restarted(Some(WarmUpFrom::Hot)).await?;
    stage.redis.command(&["FLUSHALL"]);
    let emptied_cold = stage.restarted(None).await?;
    stage.redis.command(&["FLUSHALL"]);
    let emptied_warmed = stage.restarted(Some(WarmUpFrom::Hot)).await?;
    stage.redis.command(&["FLUSHALL"]);
    let meanwhile = stage.reads_meanwhile().await?;

    let title = format!(
        "Restart of {}: {} local entries, a list of {age} reads ago",
        options.file.display(),
        options.capacity
    );
    let tables = vec![
        hits(
            &title,
            &[
                ("no restart", &stayed),
                ("cold", &cold),
                ("warmed", &warmed),
            ],
        ),
        loads(&[("cold", &emptied_cold), ("warmed", &emptied_warmed)]),
        load_times(&emptied_cold, &meanwhile),
    ];
    let missed = missed(&stayed, &warmed, &emptied_cold, &emptied_warmed);
    Ok((tables, missed))
}

impl Stage {
    async fn new(options: &Options, url: &str) -> Result<Self, Wrong> {
        let keys = trace::read(&options.file)?;
        let count = unique(&keys);
        let pool = PgPoolOptions::new().connect(url).await;
        let journal = PostgresJournal::install(pool.map_err(|error| failed(&error))?).await;
        Ok(Self {
            half: keys.len() / 2,
            l1_capacity_bytes: options.capacity * weight(count / 2).await?,
            redis: servers::redis()?,
            records: SqlRecords::create(url, 16, count, BYTES).await?,
            journal: journal.map_err(|error| failed(&error))?,
            keys,
        })
    }

    /// Starts an instance that writes no hot set.
    async fn start(&self, warm_up: Option<WarmUpFrom>) -> Cached {
        self.start_as(warm_up, false).await
    }

    async fn start_keeping_hot_sets(&self) -> Cached {
        self.start_as(None, true).await
    }

    async fn start_as(&self, warm_up: Option<WarmUpFrom>, hot_set: bool) -> Cached {
        let config = CacheConfig {
            redis_url: Secret::new(self.redis.url()),
            l1_capacity_bytes: self.l1_capacity_bytes,
            warm_up,
            warm_up_deadline: PATIENCE,
            hot_set,
            // The time of one operation bounds the end of a service, and so the list.
            operation_timeout: Duration::from_secs(5),
            prefetch: PrefetchMode::Off,
            ..CacheConfig::default()
        };
        let cache = CacheService::connect(config).await;
        cache.poll_journal(self.journal.clone()).await;
        CachedRepository::new(self.records.clone(), &cache)
    }

    async fn read(&self, cached: &Cached, reads: std::ops::Range<usize>) -> Result<(), Wrong> {
        for key in &self.keys[reads] {
            read(cached, *key).await?;
        }
        Ok(())
    }

    /// Starts an instance, waits for its warm-up, and counts its first reads.
    async fn restarted(&self, warm_up: Option<WarmUpFrom>) -> Result<Counted, Wrong> {
        let cached = self.start(warm_up).await;
        let begun = Instant::now();
        while !cached.cache().is_warm() {
            if PATIENCE < begun.elapsed() {
                return Err(Wrong("the warm-up does not end".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if warm_up.is_some() {
            settled(&cached).await;
        }
        let counted = self.first_reads(&cached).await?;
        cached.cache().close().await;
        Ok(counted)
    }

    async fn first_reads(&self, cached: &Cached) -> Result<Counted, Wrong> {
        let mut counted = Counted::default();
        for (number, key) in self.keys[self.half..].iter().enumerate() {
            if FIRST[2] <= number {
                break;
            }
            let (tier, took) = read(cached, *key).await?;
            for (at, first) in FIRST.iter().enumerate() {
                if number < *first {
                    counted.reads[at] += 1;
                    counted.hits[at] += u64::from(tier == Tier::Local);
                    counted.loads[at] += u64::from(tier == Tier::Source);
                }
            }
            if tier == Tier::Source {
                counted.took.push(took);
            }
        }
        Ok(counted)
    }

    /// Returns how long reads with a load take while a warm-up loads.
    async fn reads_meanwhile(&self) -> Result<Vec<Duration>, Wrong> {
        let cached = self.start(Some(WarmUpFrom::Hot)).await;
        let mut times = Vec::new();
        for key in &self.keys[self.half..] {
            if cached.cache().is_warm() {
                break;
            }
            let (tier, took) = read(&cached, *key).await?;
            if tier == Tier::Source {
                times.push(took);
            }
        }
        cached.cache().close().await;
        Ok(times)
    }
}

async fn read(cached: &Cached, key: u64) -> Result<(Tier, Duration), Wrong> {
    let begun = Instant::now();
    let found = cached.find_by_id_with(&id(key), Freshness::Any).await;
    let took = begun.elapsed();
    let answer = found.map_err(|error| Wrong(error.to_string()))?;
    match &answer.value {
        Some(row) if row.id == id(key) => Ok((answer.tier, took)),
        _ => Err(Wrong(format!(
            "the request of key {key} returned another row"
        ))),
    }
}

/// Waits until no more rows become local entries.
async fn settled(cached: &Cached) {
    let held = || cached.cache().stats().kinds[0].l1_entries;
    let mut before = held();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = held();
        if std::mem::replace(&mut before, now) == now {
            return;
        }
    }
}

/// Returns the size of a local entry.
async fn weight(number: u64) -> Result<usize, Wrong> {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        ..CacheConfig::default()
    };
    let cache = CacheService::connect(config).await;
    let row = Record::<0>::new(number, BYTES);
    let rows = InMemory::holding([row], Duration::ZERO);
    let cached = CachedRepository::new(rows, &cache);
    let Ok(_) = cached.find_by_id(&id(number)).await;
    // The fill runs beside the read.
    loop {
        match cache.stats().kinds[0].l1_bytes {
            0 => tokio::time::sleep(Duration::from_millis(1)).await,
            bytes => return usize::try_from(bytes).map_err(|error| Wrong(error.to_string())),
        }
    }
}

fn hits(title: &str, all: &[(&str, &Counted)]) -> Table {
    let row = |(name, counted): &(&str, &Counted)| {
        let percent = |at: usize| Cell::Percent(percent(counted, at));
        vec![
            Cell::Name((*name).to_owned()),
            percent(0),
            percent(1),
            percent(2),
        ]
    };
    let columns = vec!["hits in process of the first", "1,000", "10,000", "50,000"];
    Table::counted(title.to_owned(), columns, all.iter().map(row).collect())
}

fn loads(all: &[(&str, &Counted)]) -> Table {
    let row = |(name, counted): &(&str, &Counted)| {
        let mut row = vec![Cell::Name((*name).to_owned())];
        row.extend(counted.loads.map(Cell::Count));
        row
    };
    let columns = vec!["database loads in the first", "1,000", "10,000", "50,000"];
    let title = "The same after Redis was emptied; the list comes from the database".to_owned();
    Table::counted(title, columns, all.iter().map(row).collect())
}

fn load_times(cold: &Counted, meanwhile: &[Duration]) -> Table {
    let [cold, meanwhile] = [&cold.took[..], meanwhile].map(|times| (times.len(), median(times)));
    let ratio = meanwhile.1.as_secs_f64() / cold.1.as_secs_f64();
    let row = |name: &str, (count, median): (usize, Duration), ratio: f64| {
        vec![
            Cell::Name(name.to_owned()),
            Cell::Count(count as u64),
            Cell::Milliseconds(median.as_secs_f64() * 1e3),
            Cell::Ratio(ratio),
        ]
    };
    let rows = vec![
        row("cold", cold, 1.0),
        row("while the warm-up loads", meanwhile, ratio),
    ];
    let columns = vec!["reads with a load", "count", "median", "beside cold"];
    Table::counted("How long they take".to_owned(), columns, rows)
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn percent(counted: &Counted, at: usize) -> f64 {
    100.0 * counted.hits[at] as f64 / counted.reads[at] as f64
}

/// Returns the target that was missed.
fn missed(
    stayed: &Counted,
    warmed: &Counted,
    cold: &Counted,
    emptied_warmed: &Counted,
) -> Option<Wrong> {
    let (without, with) = (percent(stayed, 0), percent(warmed, 0));
    if with < without - MAX_POINTS {
        return Some(Wrong(format!(
            "the first 1,000 reads after a warm start hit {with:.1} %, and {without:.1} % without \
             a restart"
        )));
    }
    let (cold, warmed) = (cold.loads[0], emptied_warmed.loads[0]);
    (MAX_LOADS * (cold as f64) < warmed as f64).then(|| {
        Wrong(format!(
            "the first 1,000 reads after Redis was emptied load {warmed} rows, and {cold} on a \
             cold start"
        ))
    })
}

fn failed(error: &sqlx::Error) -> Wrong {
    Wrong(error.to_string())
}
