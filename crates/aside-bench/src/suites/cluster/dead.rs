//! Reads of the keys of two primaries while the third is dead.

use std::time::{Duration, Instant};

use aside::{CachedRepository, Freshness, Source, Tier};
use uuid::Uuid;

use super::stage::{APPEARANCE_BYTES, in_step, three_primaries};
use crate::error::Wrong;
use crate::heroes::{Heroes, id};
use crate::rounds::percentiles;
use crate::table::{Cell, Table};

const HEROES: u64 = 2_000;

/// The reads of each phase.
const READS: usize = 20_000;

/// How long the nodes may take to vote and promote.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// Reads of one phase.
struct Phase {
    /// Nanoseconds.
    p99: f64,
    hits: usize,
    reads: usize,
}

pub(super) async fn run(quick: bool) -> Result<Table, Wrong> {
    let reads = if quick { READS / 20 } else { READS };
    let cluster = three_primaries(1)?;
    let heroes = Heroes::of(HEROES, APPEARANCE_BYTES, Duration::ZERO);
    let cached = in_step(&cluster.url(), &heroes, "0").await?;
    let all: Vec<Uuid> = (0..HEROES).map(id).collect();
    let Ok(_) = cached.find_many(&all).await;
    let dead = cluster.node(0).address().to_string();
    let mut living = Vec::new();
    for id in &all {
        let explained = cached.cache().explain(&format!("hero:{id}")).await;
        if explained.server.is_some_and(|server| server != dead) {
            living.push(*id);
        }
    }

    // By turns before and after, as everything else that is compared.
    let before = phase(&cached, &living, reads).await;
    cluster.node(0).kill();
    let longest_bypass = until_promoted(&cached, &living, &cluster).await?;
    let after = phase(&cached, &living, reads).await;

    let row = |name: &str, phase: &Phase| {
        vec![
            Cell::Name(name.to_owned()),
            Cell::Of(phase.hits as u64, phase.reads as u64),
            Cell::Milliseconds(phase.p99 / 1e6),
            Cell::Milliseconds(0.0),
        ]
    };
    let mut rows = vec![
        row("all three in use", &before),
        row("one replaced", &after),
    ];
    rows[1][3] = Cell::Milliseconds(longest_bypass.as_secs_f64() * 1e3);
    let columns = vec!["", "hits", "p99", "longest bypass meanwhile"];
    let title = "Keys of two primaries while the third is killed and replaced".to_owned();
    Ok(Table::counted(title, columns, rows))
}

/// Reads in random order, one after the other.
async fn phase(cached: &CachedRepository<Heroes>, ids: &[Uuid], reads: usize) -> Phase {
    let (mut taken, mut hits) = (Vec::with_capacity(reads), 0);
    for _ in 0..reads {
        let asked = ids[fastrand::usize(..ids.len())];
        let begun = Instant::now();
        let Ok(answer) = cached.find_by_id_with(&asked, Freshness::Any).await;
        taken.push(begun.elapsed());
        hits += usize::from(answer.tier != Tier::Source);
    }
    let p99 = percentiles(taken)[1];
    Phase { p99, hits, reads }
}

/// Reads until a replica is promoted and used. Returns the longest time for which
/// every read bypassed Redis.
async fn until_promoted(
    cached: &CachedRepository<Heroes>,
    ids: &[Uuid],
    cluster: &aside_testkit::RedisCluster,
) -> Result<Duration, Wrong> {
    let begun = Instant::now();
    let (mut last_hit, mut longest) = (begun, Duration::ZERO);
    loop {
        let asked = ids[fastrand::usize(..ids.len())];
        let Ok(answer) = cached.find_by_id_with(&asked, Freshness::Any).await;
        if answer.tier != Tier::Source {
            longest = longest.max(last_hit.elapsed());
            last_hit = Instant::now();
        }
        if cached.cache().is_synced() && cluster.primaries().len() == 3 {
            return Ok(longest);
        }
        if SETTLED_WITHIN < begun.elapsed() {
            return Err(Wrong("no replica was promoted and used".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
