//! Recorded requests by several tasks, through the real library on `memory://`, under
//! a paused clock.
//!
//! A round trip and a load take declared times, so no figure depends on the machine or
//! on the order in which its threads happen to run. Tokio's timers have whole
//! milliseconds: a millisecond of the paused clock stands for [`TICK`].

mod runs;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aside::report::KindStats;
use aside::settings::PrefetchMode;
use aside::{CachedRepository, Source};
use clap::Args;
use fastrand::Rng;

use crate::error::Wrong;
use crate::heroes::{Heroes, cached, id};
use crate::paused_clock;
use crate::suites::replay::{COLUMNS, check, check_held, weight};
use crate::table::{Cell, Table};
use crate::trace;

/// The time that a millisecond of the paused clock stands for.
const TICK: Duration = Duration::from_micros(100);

const ROUND_TRIP: Duration = Duration::from_micros(200);
const LOAD: Duration = Duration::from_millis(1);

/// How a trace is replayed.
#[derive(Args)]
pub(crate) struct Options {
    pub(crate) file: PathBuf,
    /// Local entries.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) capacity: usize,
    /// Also replays it with the prefetch, and compares the two.
    #[arg(long)]
    prefetch: bool,
    /// The part of a key before its first colon is its kind. Reads one request after
    /// another.
    #[arg(long, conflicts_with_all = ["tasks", "run", "shuffle_second_half", "prefetch"])]
    pub(crate) kinds: bool,
    /// Tasks that read at once, each one run after another.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    tasks: u16,
    /// Requests of a run, on average.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    run: u32,
    /// Decides the lengths of the runs, and the order within blocks.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shuffles the second half of the trace in blocks of this many requests.
    #[arg(long, value_name = "BLOCK")]
    shuffle_second_half: Option<usize>,
}

/// The requests of one simulation.
struct Workload {
    keys: Vec<u64>,
    unique: u64,
    runs: Vec<std::ops::Range<usize>>,
    /// The number of runs that have begun.
    begun: AtomicUsize,
}

/// The counts of one simulation.
struct Outcome {
    kind: KindStats,
    loads: u64,
    /// Round trips to the shared tier, and keys read there.
    trips: u64,
    keys: u64,
    /// Of all readers together, in declared time.
    waiting: Duration,
    took: Duration,
}

pub(crate) fn run(options: &Options) -> Result<Vec<Table>, Wrong> {
    let workload = Arc::new(Workload::new(options)?);
    let off = simulate(options, &workload, PrefetchMode::Off)?;
    let title = format!("Replay of {}", options.file.display());
    let rows = vec![replayed(options, &workload, &off)?];
    let mut tables = vec![Table::counted(title, COLUMNS.to_vec(), rows)];
    let mut all = vec![("off", &off)];
    let on;
    if options.prefetch {
        on = simulate(options, &workload, PrefetchMode::Auto)?;
        all.push(("prefetch", &on));
    }
    tables.push(traffic(options, &workload, &all)?);
    Ok(tables)
}

impl Workload {
    fn new(options: &Options) -> Result<Self, Wrong> {
        let mut keys = trace::read(&options.file)?;
        let mut rng = Rng::with_seed(options.seed);
        if let Some(block) = options.shuffle_second_half {
            runs::shuffle_second_half(&mut keys, block, &mut rng);
        }
        Ok(Self {
            unique: keys.iter().max().map_or(0, |most| most + 1),
            runs: runs::cut(keys.len(), options.run as usize, &mut rng),
            keys,
            begun: AtomicUsize::new(0),
        })
    }
}

/// Replays the keys under a paused clock.
fn simulate(
    options: &Options,
    workload: &Arc<Workload>,
    prefetch: PrefetchMode,
) -> Result<Outcome, Wrong> {
    workload.begun.store(0, Ordering::Relaxed);
    paused_clock::run(|| replay(options, workload, prefetch))
}

async fn replay(
    options: &Options,
    workload: &Arc<Workload>,
    prefetch: PrefetchMode,
) -> Result<Outcome, Wrong> {
    let unique = workload.unique;
    let heroes = Heroes::of(unique, 14, paused(LOAD));
    let cached = cached(&heroes, "memory://", options.capacity * weight(unique)).await;
    cached.cache().prefetch(prefetch);
    cached.cache().slow_memory(paused(ROUND_TRIP));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..options.tasks)
        .map(|_| tokio::spawn(read_runs(Arc::clone(workload), cached.clone())))
        .collect();
    let mut waiting = Duration::ZERO;
    for task in tasks {
        let waited = task
            .await
            .map_err(|_| Wrong("a reader panicked".to_owned()))?;
        waiting += declared(waited?);
    }
    let (trips, keys) = cached.cache().memory_traffic();
    let kind = cached.cache().stats().kinds.into_iter().next();
    Ok(Outcome {
        kind: kind.ok_or_else(|| Wrong("nothing was counted".to_owned()))?,
        loads: heroes.reads(),
        trips,
        keys,
        waiting,
        took: begun.elapsed(),
    })
}

/// Reads one run after another until none is left. Returns how long the reads took, in
/// paused time.
async fn read_runs(
    workload: Arc<Workload>,
    cached: CachedRepository<Heroes>,
) -> Result<Duration, Wrong> {
    let mut waited = Duration::ZERO;
    loop {
        let next = workload.begun.fetch_add(1, Ordering::Relaxed);
        let Some(run) = workload.runs.get(next) else {
            return Ok(waited);
        };
        for key in &workload.keys[run.clone()] {
            let begun = tokio::time::Instant::now();
            let Ok(found) = cached.find_by_id(&id(*key)).await;
            waited += begun.elapsed();
            if found.is_none_or(|row| row.id != id(*key)) {
                return Err(Wrong(format!(
                    "the request of key {key} returned another row"
                )));
            }
            // A hit takes no time, and a task would otherwise read on until its next miss.
            tokio::task::yield_now().await;
        }
    }
}

/// Returns the row of the replay, if its figures add up.
fn replayed(options: &Options, workload: &Workload, outcome: &Outcome) -> Result<Vec<Cell>, Wrong> {
    let Outcome { kind, loads, .. } = outcome;
    let (requests, capacity) = (workload.keys.len() as u64, options.capacity as u64);
    let shared = check(kind, requests, *loads)?;
    check_held(kind.l1_entries, capacity, workload.unique)?;
    let percent = |hits: u64| Cell::Percent(100.0 * hits as f64 / requests as f64);
    Ok(vec![
        Cell::Count(requests),
        Cell::Count(workload.unique),
        Cell::Count(capacity),
        Cell::Count(kind.l1_entries),
        percent(kind.l1_hits),
        percent(kind.l2_hits),
        Cell::Count(*loads),
        Cell::Count(shared),
        Cell::Seconds(outcome.took.as_secs_f64()),
    ])
}

/// Returns the table of round trips, each replay beside the first.
fn traffic(
    options: &Options,
    workload: &Workload,
    all: &[(&str, &Outcome)],
) -> Result<Table, Wrong> {
    let title = format!(
        "{} task(s), runs of {}: round trips of {ROUND_TRIP:?} and loads of {LOAD:?}",
        options.tasks, options.run
    );
    let columns = vec![
        "",
        "keys read below",
        "round trips",
        "waiting",
        "hits",
        "precision",
        "keys",
        "trips",
        "waiting",
    ];
    let (_, first) = all[0];
    let requests = workload.keys.len() as u64;
    let mut rows = Vec::new();
    for (name, outcome) in all {
        let kind = &outcome.kind;
        let reads = kind.l1_hits + kind.l2_hits + kind.misses + kind.bypasses;
        if reads != requests {
            return Err(Wrong(format!("{reads} reads of {requests} were counted")));
        }
        let fate = |fate| kind.prefetched.get(fate).copied().unwrap_or(0);
        let (hits, right) = (kind.l1_hits + fate("late"), fate("used") + fate("late"));
        let decided = (right + fate("unused")).max(1);
        let percent = |part: u64, all: u64| Cell::Percent(100.0 * part as f64 / all as f64);
        let ratio = |own: f64, other: f64| Cell::Ratio(own / other);
        let waiting = |outcome: &Outcome| outcome.waiting.as_secs_f64();
        rows.push(vec![
            Cell::Name((*name).to_owned()),
            Cell::Count(outcome.keys),
            Cell::Count(outcome.trips),
            Cell::Seconds(waiting(outcome)),
            percent(hits, requests),
            percent(right, decided),
            ratio(outcome.keys as f64, first.keys as f64),
            ratio(outcome.trips as f64, first.trips as f64),
            ratio(waiting(outcome), waiting(first)),
        ]);
    }
    Ok(Table::counted(title, columns, rows))
}

/// Returns the paused time that stands for a declared one.
fn paused(declared: Duration) -> Duration {
    Duration::from_millis((declared.as_micros() / TICK.as_micros()) as u64)
}

/// Returns the declared time that a paused one stands for.
fn declared(paused: Duration) -> Duration {
    TICK.mul_f64(1e3 * paused.as_secs_f64())
}
