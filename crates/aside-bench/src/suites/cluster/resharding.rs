//! Slots that move from one primary to another under writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aside::{CachedRepository, Freshness, Repository, Source};
use aside_testkit::RedisCluster;
use parking_lot::Mutex;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::stage::{APPEARANCE_BYTES, in_step, three_primaries};
use crate::error::Wrong;
use crate::heroes::{Hero, Heroes, id};
use crate::table::{Cell, Table};

const HEROES: u64 = 20_000;
const WRITES_PER_SECOND: u64 = 1_000;
const WRITERS: u64 = 8;
const READERS: usize = 4;

/// How long the loads are counted before anything moves.
const BEFORE: Duration = Duration::from_secs(10);

/// The staleness bound of the local tier; its default.
const BOUND: Duration = Duration::from_millis(500);

/// The writes of every hero that have returned, each with its time and version.
type Written = Arc<Vec<Mutex<Vec<(Instant, u64)>>>>;

/// Writers at one instance and readers at another, until it is dropped.
struct Load {
    written: Written,
    counts: Arc<Mutex<Counts>>,
    ended: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    reads: u64,
    writes: u64,
    stale: u64,
}

impl Counts {
    fn read(&mut self, is_stale: bool) {
        self.reads += 1;
        self.stale += u64::from(is_stale);
    }
}

/// Returns the version of the last write that had returned at a time, or 0.
fn required(written: &[(Instant, u64)], at: Instant) -> u64 {
    let returned = written.iter().filter(|(returned, _)| *returned < at);
    returned.map(|(_, version)| *version).max().unwrap_or(0)
}

pub(super) async fn run(quick: bool) -> Result<Table, Wrong> {
    let (slots, before) = match quick {
        true => (20, BEFORE / 20),
        false => (1_000, BEFORE),
    };
    let cluster = Arc::new(three_primaries(0)?);
    let heroes = Heroes::of(HEROES, APPEARANCE_BYTES, Duration::ZERO);
    let writer = in_step(&cluster.url(), &heroes, "500").await?;
    let reader = in_step(&cluster.url(), &heroes, "500").await?;
    let all: Vec<Uuid> = (0..HEROES).map(id).collect();
    for ids in all.chunks(500) {
        let Ok(_) = reader.find_many(ids).await;
    }
    let load = Load::begin(&writer, &reader);
    let loads = || heroes.reads();

    let (loads_before, begun) = (loads(), Instant::now());
    tokio::time::sleep(before).await;
    let usual = (loads() - loads_before) as f64 / begun.elapsed().as_secs_f64();

    let (loads_before, counts, begun) = (loads(), *load.counts.lock(), Instant::now());
    let moving = Arc::clone(&cluster);
    let moved = spawn_blocking(move || reshard(&moving, slots)).await;
    let moved = moved.map_err(|error| Wrong(error.to_string()))?;
    let took = begun.elapsed();
    // A row that was read before its slot moved may be loaded afterwards.
    tokio::time::sleep(BOUND * 4).await;
    let seconds = begun.elapsed().as_secs_f64();
    let extra = (loads() - loads_before) as f64 - usual * seconds;
    let after = load.end().await;
    let row = vec![
        Cell::Count(u64::from(slots)),
        Cell::Seconds(took.as_secs_f64()),
        Cell::Count(moved),
        Cell::Each(extra.max(0.0) / moved as f64),
        Cell::Each((after.writes - counts.writes) as f64 / seconds),
        Cell::Of(after.stale, after.reads),
    ];
    let columns = vec![
        "slots moved",
        "in",
        "their keys",
        "loads beyond the usual, per key",
        "writes per second",
        "stale reads",
    ];
    let title = "Slots move from one primary to another".to_owned();
    if after.stale != 0 {
        return Err(Wrong(format!("{} stale reads", after.stale)));
    }
    Ok(Table::counted(title, columns, vec![row]))
}

/// Moves the first slots of the first primary to the second. Returns the number of
/// their keys.
fn reshard(cluster: &RedisCluster, slots: u16) -> u64 {
    let mut moved = 0;
    for slot in 0..slots {
        let migration = cluster.migration(slot, 0, 1);
        migration.set_importing();
        migration.set_migrating();
        let keys = migration.keys();
        for key in &keys {
            migration.move_key(key);
        }
        migration.finish();
        moved += keys.len() as u64;
    }
    moved
}

impl Load {
    fn begin(writer: &CachedRepository<Heroes>, reader: &CachedRepository<Heroes>) -> Self {
        let rows = (0..HEROES).map(|_| Mutex::default());
        let written: Written = Arc::new(rows.collect());
        let (counts, ended) = (Arc::default(), Arc::default());
        let mut load = Self {
            written,
            counts,
            ended,
            tasks: JoinSet::new(),
        };
        for place in 0..WRITERS {
            load.tasks.spawn(load.writes(writer.clone(), place));
        }
        for place in 0..READERS {
            load.tasks.spawn(load.reads(reader.clone(), place));
        }
        load
    }

    /// Writes the heroes of one writer, in turn, at its share of the rate.
    fn writes(
        &self,
        heroes: CachedRepository<Heroes>,
        place: u64,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (written, counts) = (Arc::clone(&self.written), Arc::clone(&self.counts));
        let ended = Arc::clone(&self.ended);
        async move {
            let mut ticks = interval(Duration::from_secs(WRITERS) / WRITES_PER_SECOND as u32);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut random = fastrand::Rng::with_seed(place);
            while !ended.load(Ordering::Relaxed) {
                ticks.tick().await;
                let number = random.u64(..HEROES / WRITERS) * WRITERS + place;
                let last = written[number as usize].lock().last().map(|it| it.1);
                let version = last.unwrap_or(0) + 1;
                let mut hero = Hero::new(number, APPEARANCE_BYTES);
                hero.name = version.to_string();
                let Ok(found) = heroes.update(hero).await;
                assert!(found.is_some(), "a missing row");
                written[number as usize]
                    .lock()
                    .push((Instant::now(), version));
                counts.lock().writes += 1;
            }
        }
    }

    /// Reads heroes, and counts those that are older than a write that had returned
    /// the bound before. A read past the local tier has no such bound.
    fn reads(
        &self,
        heroes: CachedRepository<Heroes>,
        place: usize,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (written, counts) = (Arc::clone(&self.written), Arc::clone(&self.counts));
        let ended = Arc::clone(&self.ended);
        async move {
            let mut random = fastrand::Rng::with_seed(place as u64 ^ 0x5eed);
            let (freshness, bound) = match place % 2 {
                0 => (Freshness::Any, BOUND),
                _ => (Freshness::Shared, Duration::ZERO),
            };
            while !ended.load(Ordering::Relaxed) {
                let number = random.u64(..HEROES);
                let due = Instant::now().checked_sub(bound);
                let Ok(answer) = heroes.find_by_id_with(&id(number), freshness).await;
                let seen = answer
                    .value
                    .map_or(0, |hero| hero.name.parse().unwrap_or(0));
                let required = due.map_or(0, |due| required(&written[number as usize].lock(), due));
                counts.lock().read(seen < required);
                tokio::task::yield_now().await;
            }
        }
    }

    async fn end(self) -> Counts {
        self.ended.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        *self.counts.lock()
    }
}
