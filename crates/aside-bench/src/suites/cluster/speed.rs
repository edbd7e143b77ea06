//! Hits in Redis on three primaries, beside one.

use std::time::{Duration, Instant};

use aside::{CachedRepository, Source};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::stage::{APPEARANCE_BYTES, in_step, three_primaries};
use crate::error::Wrong;
use crate::heroes::{Heroes, id};
use crate::rounds::{Contender, alternate, alternate_figures, percentiles, undisturbed};
use crate::table::{Bound, Table, Unit};
use crate::{cores, servers};

const HEROES: u64 = 1_000;
const ONE: &str = "one primary";
const THREE: &str = "three primaries";

/// Ids of one `find_many`.
const ROWS_PER_BATCH: u64 = 100;

const TASKS: usize = 64;

struct Extent {
    rounds: usize,
    rows: usize,
    batches: usize,
    operations: usize,
}

pub(super) fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let extent = match quick {
        true => Extent {
            rounds: 3,
            rows: 50,
            batches: 5,
            operations: 2_000,
        },
        false => Extent {
            rounds: 41,
            rows: 1_000,
            batches: 60,
            operations: 20_000,
        },
    };
    let mut tables = cores::on_one(|_| {
        let (one, three) = (servers::redis()?, three_primaries(0)?);
        let urls = [(ONE, one.url()), (THREE, three.url())];
        let runtime = Builder::new_current_thread().enable_all().build()?;
        latencies(&runtime, &urls, &extent)
    })?;
    tables.push(cores::apart(|| {
        let (one, three) = (servers::redis()?, three_primaries(0)?);
        let urls = [(ONE, one.url()), (THREE, three.url())];
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        throughput(&runtime, &urls, &extent)
    })?);
    Ok(tables)
}

/// A name, and a cache without a local tier whose rows are all in Redis.
type Subject = (&'static str, CachedRepository<Heroes>);

fn subjects(runtime: &Runtime, urls: &[(&'static str, String)]) -> Result<Vec<Subject>, Wrong> {
    let mut subjects = Vec::new();
    for (name, url) in urls {
        let heroes = Heroes::of(HEROES, APPEARANCE_BYTES, Duration::ZERO);
        let repository = runtime.block_on(in_step(url, &heroes, "0"))?;
        let ids: Vec<Uuid> = (0..HEROES).map(id).collect();
        let Ok(_) = runtime.block_on(repository.find_many(&ids));
        subjects.push((*name, repository));
    }
    Ok(subjects)
}

/// Repeats a round until all of it was served by Redis.
async fn all_hits<T>(heroes: &CachedRepository<Heroes>, mut round: impl AsyncFnMut() -> T) -> T {
    undisturbed(async || {
        let before = heroes.source().reads();
        let outcome = round().await;
        (heroes.source().reads() == before).then_some(outcome)
    })
    .await
}

fn latencies(
    runtime: &Runtime,
    urls: &[(&'static str, String)],
    extent: &Extent,
) -> Result<Vec<Table>, Wrong> {
    let subjects = subjects(runtime, urls)?;
    let of_row = |(name, heroes): &'_ Subject| {
        let heroes = heroes.clone();
        let rows = extent.rows;
        Contender::with_figures(name, move || {
            let round = all_hits(&heroes, async || {
                let mut taken = Vec::with_capacity(rows);
                for number in 0..rows as u64 {
                    let (asked, begun) = (id(number % HEROES), Instant::now());
                    let Ok(row) = heroes.find_by_id(&asked).await;
                    taken.push(begun.elapsed());
                    assert!(row.is_some_and(|row| row.id == asked), "another row");
                }
                taken
            });
            percentiles(runtime.block_on(round))
        })
    };
    let of_many = |(name, heroes): &'_ Subject| {
        let (heroes, batches) = (heroes.clone(), extent.batches);
        let ids: Vec<Uuid> = (0..ROWS_PER_BATCH).map(id).collect();
        Contender::with_figures(name, move || {
            let round = all_hits(&heroes, async || {
                let mut taken = Vec::with_capacity(batches);
                for _ in 0..batches {
                    let begun = Instant::now();
                    let Ok(rows) = heroes.find_many(&ids).await;
                    taken.push(begun.elapsed());
                    assert!(rows.iter().all(Option::is_some), "a missing row");
                }
                taken
            });
            percentiles(runtime.block_on(round))
        })
    };
    let rows = alternate_figures(extent.rounds, subjects.iter().map(of_row).collect());
    let many = alternate_figures(extent.rounds, subjects.iter().map(of_many).collect());
    let mut tables = Vec::new();
    for (which, rows) in ["p50", "p99"].into_iter().zip(rows) {
        let title =
            format!("A hero of 600 bytes from Redis, {which}: client and servers on one core");
        let table = Table::new(title, ONE, rows);
        tables.push(match which {
            "p50" => table.wanted(THREE, Bound::AtMost(1.05), ONE),
            _ => table,
        });
    }
    let title =
        "find_many of 100 heroes from Redis, p50: client and servers on one core".to_owned();
    tables.extend(
        many.into_iter()
            .take(1)
            .map(|rows| Table::new(title.clone(), ONE, rows)),
    );
    Ok(tables)
}

fn throughput(
    runtime: &Runtime,
    urls: &[(&'static str, String)],
    extent: &Extent,
) -> Result<Table, Wrong> {
    let subjects = subjects(runtime, urls)?;
    let operations = extent.operations;
    let contender = |(name, heroes): &'_ Subject| {
        let heroes = heroes.clone();
        Contender::with_figures(name, move || {
            let round = all_hits(&heroes, async || hits(&heroes, operations).await);
            vec![runtime.block_on(round)]
        })
    };
    let rows = alternate(extent.rounds, subjects.iter().map(contender).collect());
    let title = format!("Heroes of 600 bytes from Redis, {TASKS} tasks, on all cores");
    let table = Table::of(Unit::PerSecond, title, ONE, rows);
    Ok(table.wanted(THREE, Bound::AtLeast(1.0), ONE))
}

/// Returns the reads per second of all tasks together.
async fn hits(heroes: &CachedRepository<Heroes>, operations: usize) -> f64 {
    let each = operations / TASKS;
    let task = |task: usize| {
        let heroes = heroes.clone();
        async move {
            let mut random = fastrand::Rng::with_seed(task as u64);
            for _ in 0..each {
                let asked = id(random.u64(..HEROES));
                let Ok(found) = heroes.find_by_id(&asked).await;
                assert!(found.is_some_and(|row| row.id == asked), "another row");
            }
        }
    };
    let begun = Instant::now();
    let running: JoinSet<()> = (0..TASKS).map(task).collect();
    running.join_all().await;
    (each * TASKS) as f64 / begun.elapsed().as_secs_f64()
}
