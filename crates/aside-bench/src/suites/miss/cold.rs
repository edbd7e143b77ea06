//! One miss after the other, over PostgreSQL: the library's overhead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, Repository, Secret};
use aside_testkit::{PostgresServer, RedisServer};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::error::Wrong;
use crate::heroes::id;
use crate::record::Record;
use crate::records::{SqlError, SqlRecords};
use crate::rounds::{Contender, alternate_figures, percentiles};
use crate::table::Table;

const ALONE: &str = "PostgreSQL alone";
const BYTES: usize = 500;

type Records = SqlRecords<0>;

pub(super) async fn run(
    redis: &RedisServer,
    postgres: &PostgresServer,
    quick: bool,
) -> Result<Table, Wrong> {
    let (rounds, misses) = if quick { (2, 20) } else { (15, 300) };
    let url = postgres.create_database("cold");
    let count = (rounds as u64 + 1) * misses;
    let records = Records::create(&url, 2, count, BYTES).await?;
    let config = CacheConfig {
        redis_url: Secret::new(redis.url()),
        namespace: "cold".to_owned(),
        operation_timeout: Duration::from_secs(5),
        ..CacheConfig::default()
    };
    let cache = CacheService::connect(config).await;
    let cached = CachedRepository::new(records.clone(), &cache);
    let contenders = vec![
        contender(ALONE, &records, &records, misses),
        contender("a miss through aside", &cached, &records, misses),
    ];
    let mut figures = alternate_figures(rounds, contenders);
    let title = "A row that is nowhere but in PostgreSQL, p50".to_owned();
    Ok(Table::new(title, ALONE, figures.swap_remove(0)))
}

/// Reads rows for the first time, each from the database.
fn contender<'a, R>(
    name: &str,
    repository: &'a R,
    source: &'a Records,
    misses: u64,
) -> Contender<'a>
where
    R: Repository<Entity = Record<0>, Error = SqlError>,
{
    let next = AtomicU64::new(0);
    Contender::with_figures(name, move || {
        let read = async {
            let before = source.reads();
            let mut taken = Vec::new();
            for _ in 0..misses {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let begun = Instant::now();
                let found = repository.find_by_id(&id(number)).await;
                taken.push(begun.elapsed());
                let found = found.expect("a reply of PostgreSQL").map(|row| row.number);
                assert_eq!(found, Some(number), "another record");
            }
            assert_eq!(source.reads() - before, misses, "a row was not cold");
            percentiles(taken)
        };
        block_in_place(|| Handle::current().block_on(read))
    })
}
