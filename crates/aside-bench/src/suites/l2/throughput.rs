//! Many tasks at once, with server and client on one core, and on all.

use std::time::Instant;

use aside::Source;
use aside_testkit::RedisServer;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::{HEROES, Stage, hero_key, on_one_core};
use crate::error::Wrong;
use crate::heroes::{Hero, id};
use crate::rounds::{Contender, alternate};
use crate::table::{Bound, Table, Unit};
use crate::{bare, cores};

const BARE: &str = "redis, one GET per hit";
const ASIDE: &str = "aside";

/// The library keeps four connections for commands.
const CONNECTIONS: usize = 4;

pub(super) fn run(
    redis: &RedisServer,
    transport: &str,
    url: &str,
    quick: bool,
) -> Result<Vec<Table>, Wrong> {
    let mut tables = on_one_core(redis, transport, |place| {
        measure(&mut Builder::new_current_thread(), &place, url, quick)
    })?;
    let place = format!("{transport}, on all cores");
    let all = cores::apart(|| measure(&mut Builder::new_multi_thread(), &place, url, quick));
    tables.extend(all?);
    Ok(tables)
}

fn measure(
    runtime: &mut Builder,
    place: &str,
    url: &str,
    quick: bool,
) -> Result<Vec<Table>, Wrong> {
    let (rounds, operations) = if quick { (3, 2_000) } else { (11, 20_000) };
    let runtime = runtime.enable_all().build()?;
    let stage = runtime.block_on(Stage::set(url))?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(runtime.block_on(bare::connect(url))?);
    }
    let bare = |connections: &[MultiplexedConnection], tasks| {
        runtime.block_on(bare_hits(connections, tasks, operations))
    };
    let mut tables = Vec::new();
    for tasks in [64, 256] {
        let contenders = vec![
            contender(BARE, || bare(&connections[..1], tasks)),
            contender("redis, four connections", || bare(&connections, tasks)),
            contender(ASIDE, || {
                runtime.block_on(stage.all_hits(async || hits(&stage, tasks, operations).await))
            }),
        ];
        let title = format!("Heroes of 600 bytes from Redis, {tasks} tasks: {place}");
        let table = Table::of(Unit::PerSecond, title, BARE, alternate(rounds, contenders));
        tables.push(match tasks {
            64 => table.wanted(ASIDE, Bound::AtLeast(1.5), BARE),
            _ => table,
        });
    }
    Ok(tables)
}

fn contender<'a>(name: &str, mut per_second: impl FnMut() -> f64 + 'a) -> Contender<'a> {
    Contender::with_figures(name, move || vec![per_second()])
}

async fn bare_hits(connections: &[MultiplexedConnection], tasks: usize, operations: usize) -> f64 {
    let each = |task: usize| {
        let mut connection = connections[task % connections.len()].clone();
        async move {
            for number in numbers(task, operations / tasks) {
                let value: Vec<u8> = redis::cmd("GET")
                    .arg(hero_key(id(number)))
                    .query_async(&mut connection)
                    .await
                    .expect("a reply");
                assert_eq!(bare::row::<Hero>(&value).id, id(number), "another row");
            }
        }
    };
    at_once(tasks, operations, each).await
}

async fn hits(stage: &Stage, tasks: usize, operations: usize) -> f64 {
    let each = |task: usize| {
        let heroes = stage.heroes.clone();
        async move {
            for number in numbers(task, operations / tasks) {
                let asked = id(number);
                let Ok(found) = heroes.find_by_id(&asked).await;
                assert!(found.is_some_and(|row| row.id == asked), "another row");
            }
        }
    };
    at_once(tasks, operations, each).await
}

/// Runs the tasks. Returns the operations per second.
async fn at_once<F>(tasks: usize, operations: usize, task: impl Fn(usize) -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let begun = Instant::now();
    let running: JoinSet<()> = (0..tasks).map(task).collect();
    running.join_all().await;
    (operations / tasks * tasks) as f64 / begun.elapsed().as_secs_f64()
}

/// Returns the heroes that a task reads, in another order for each task.
fn numbers(task: usize, count: usize) -> impl Iterator<Item = u64> {
    let mut random = fastrand::Rng::with_seed(task as u64);
    (0..count).map(move |_| random.u64(..HEROES))
}
