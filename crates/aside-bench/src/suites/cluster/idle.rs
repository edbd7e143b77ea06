//! The cost of an instance that is connected and neither reads nor writes.

use std::time::{Duration, Instant};

use aside_testkit::{RedisCluster, RedisServer};
use rustix::time::{ClockId, clock_gettime};

use super::stage::{APPEARANCE_BYTES, in_step, three_primaries};
use crate::error::Wrong;
use crate::heroes::Heroes;
use crate::servers;
use crate::table::{Cell, Table};

/// How long an idle instance is watched.
const WATCHED: Duration = Duration::from_secs(20);

pub(super) async fn run(quick: bool) -> Result<Table, Wrong> {
    let watched = if quick { WATCHED / 20 } else { WATCHED };
    let mut rows = Vec::new();
    let one = servers::redis()?;
    rows.push(row("one primary", &one.url(), &[&one], watched).await?);
    drop(one);
    let three: RedisCluster = three_primaries(0)?;
    let nodes: Vec<&RedisServer> = three.nodes().iter().collect();
    rows.push(row("three primaries", &three.url(), &nodes, watched).await?);
    let columns = vec!["servers", "KB per second", "% of a core, instance"];
    Ok(Table::counted("An idle instance".to_owned(), columns, rows))
}

async fn row(
    name: &str,
    url: &str,
    servers: &[&RedisServer],
    watched: Duration,
) -> Result<Vec<Cell>, Wrong> {
    let heroes = Heroes::of(1, APPEARANCE_BYTES, Duration::ZERO);
    let idle = in_step(url, &heroes, "500").await?;
    let (bytes, busy, begun) = (traffic(servers), processor(), Instant::now());
    tokio::time::sleep(watched).await;
    let seconds = begun.elapsed().as_secs_f64();
    // Before the servers are asked, which takes this process some time.
    let busy = (processor() - busy).as_secs_f64();
    let bytes = traffic(servers) - bytes;
    idle.cache().close().await;
    Ok(vec![
        Cell::Name(name.to_owned()),
        Cell::Each(bytes as f64 / seconds / 1e3),
        Cell::Percent(100.0 * busy / seconds),
    ])
}

/// Returns the bytes that clients have exchanged with the servers. Nodes exchange
/// others on the bus.
fn traffic(servers: &[&RedisServer]) -> u64 {
    let of_server = |server: &&RedisServer| -> u64 {
        let stats = server.info("stats");
        let names = ["total_net_input_bytes", "total_net_output_bytes"];
        let figures = names
            .iter()
            .filter_map(|name| stats.get(*name)?.parse::<u64>().ok());
        figures.sum()
    };
    servers.iter().map(of_server).sum()
}

/// Returns the time that processors have spent on this process.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
