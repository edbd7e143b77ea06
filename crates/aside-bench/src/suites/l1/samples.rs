//! Local hits with the sample of reads, beside those without it.
//!
//! They have their own table, because one more cache among the contenders of the others would
//! change their share of the processor's caches.

use std::pin::pin;
use std::time::Duration;

use aside::{CacheConfig, CachedRepository, Secret, Source};
use uuid::Uuid;

use super::{contender, ready};
use crate::error::Wrong;
use crate::heroes::{Heroes, cached_as, id};
use crate::rounds::alternate;
use crate::table::{Bound, Table};

const SIZE: u64 = 1_000;
const BYTES: usize = 56;
const WITHOUT: &str = "CACHE_ANALYTICS=false";

pub(super) async fn run(operations: u32, rounds: usize) -> Result<Table, Wrong> {
    let heroes = Heroes::of(SIZE, BYTES, Duration::ZERO);
    let (with, without) = (rows(&heroes, true).await, rows(&heroes, false).await);
    let ids: Vec<Uuid> = (0..operations).map(|_| id(fastrand::u64(..SIZE))).collect();
    let hits = |name, rows| {
        contender(name, &ids, 1, move |id| {
            let rows: &CachedRepository<Heroes> = rows;
            ready(pin!(rows.find_by_id(id))).and_then(|Ok(found)| found)
        })
    };
    let measured = alternate(
        rounds,
        vec![hits("sampled", &with), hits(WITHOUT, &without)],
    );
    let title = format!("A hit in process with the sample of reads: {SIZE} resident");
    Ok(Table::new(title, WITHOUT, measured).wanted("sampled", Bound::AtMost(1.03), WITHOUT))
}

/// Returns a cache that holds these rows.
async fn rows(heroes: &Heroes, analytics: bool) -> CachedRepository<Heroes> {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        analytics,
        ..CacheConfig::default()
    };
    let rows = cached_as(heroes, config).await;
    let ids: Vec<Uuid> = (0..SIZE).map(id).collect();
    let Ok(_) = rows.find_many(&ids).await;
    rows
}
