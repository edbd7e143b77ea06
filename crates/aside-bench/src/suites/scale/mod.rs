//! The cost of an operation as rows, kinds, indexes, instances and values grow.
//!
//! The database is in memory and returns at once, so that only the costs of the
//! library and of Redis are measured.

mod reads;
mod writes;

use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, Secret};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::error::Wrong;
use crate::rounds::{Contender, undisturbed};
use crate::servers;
use crate::table::Table;

/// How long each measurement takes.
#[derive(Clone, Copy)]
struct Extent {
    rounds: usize,
    /// Operations that stay in the local tier.
    hits: u32,
    /// Operations that use Redis.
    trips: u32,
    /// Leaves out the largest size of each dimension.
    small: bool,
}

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let extent = if quick {
        Extent {
            rounds: 2,
            hits: 200,
            trips: 10,
            small: true,
        }
    } else {
        Extent {
            rounds: 9,
            hits: 50_000,
            trips: 300,
            small: false,
        }
    };
    let redis = servers::redis()?;
    let mut tables = reads::run(&redis.url(), extent).await?;
    tables.extend(writes::run(&redis.url(), extent).await?);
    Ok(tables)
}

impl Extent {
    /// Returns the sizes to measure.
    fn of<T>(self, sizes: &[T]) -> &[T] {
        &sizes[..if self.small { 2 } else { sizes.len() }]
    }
}

async fn connect(url: &str, namespace: &str, max_staleness: Duration) -> CacheService {
    let config = CacheConfig {
        redis_url: Secret::new(url),
        namespace: namespace.to_owned(),
        max_staleness,
        operation_timeout: Duration::from_secs(5),
        l1_capacity_bytes: 8 << 30,
        ..CacheConfig::default()
    };
    CacheService::connect(config).await
}

/// Runs `operation` with the numbers from 0 on. Repeats the round if `asked`,
/// the count of forbidden reads, has changed.
fn contender<'a>(
    name: &str,
    operations: u32,
    asked: impl Fn() -> u64 + 'a,
    operation: impl AsyncFn(u64) + 'a,
) -> Contender<'a> {
    Contender::new(name, operations, move || {
        let round = undisturbed(async || {
            let before = asked();
            let begun = Instant::now();
            for number in 0..u64::from(operations) {
                operation(number).await;
            }
            let took = begun.elapsed();
            (asked() == before).then_some(took)
        });
        block_in_place(|| Handle::current().block_on(round))
    })
}
