//! What an operation costs as things grow: rows, kinds, indexes, instances and
//! values.
//!
//! The database is one in memory that answers at once, so that what is seen is
//! the library's own cost, and Redis's.

mod reads;
mod writes;

use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, Secret};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::rounds::{Contender, undisturbed};
use crate::table::Table;
use crate::{Wrong, servers};

/// How long everything is measured.
#[derive(Clone, Copy)]
struct Extent {
    rounds: usize,
    /// Of operations that stay in this process.
    hits: u32,
    /// Of operations that go to Redis.
    trips: u32,
    /// The largest of everything that grows is left out.
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
    /// The sizes to measure.
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

/// Runs `operation` so often, from 0 on; again where `asked`, the count of
/// what it must not ask, has changed meanwhile.
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
