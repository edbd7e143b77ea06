//! Hits: by rows, kinds and the size of values.

use std::pin::Pin;
use std::time::Duration;

use aside::{CacheConfig, CacheService, CachedRepository, Source};
use uuid::Uuid;

use super::{Extent, connect, contender};
use crate::error::Wrong;
use crate::heroes::{InMemory, id};
use crate::record::Record;
use crate::rounds::{Contender, alternate};
use crate::table::Table;

type Records = InMemory<Record<0>>;

/// A small record's content.
const BYTES: usize = 100;

/// Rows of a kind among others.
const EACH: u64 = 1_000;

/// The tier that serves the hits.
#[derive(Clone, Copy)]
enum From {
    Process,
    Redis,
}

pub(super) async fn run(url: &str, extent: Extent) -> Result<Vec<Table>, Wrong> {
    Ok(vec![
        by_rows("memory://", From::Process, extent).await,
        by_rows(url, From::Redis, extent).await,
        by_kinds("memory://", From::Process, extent).await,
        by_kinds(url, From::Redis, extent).await,
        by_size("memory://", From::Process, extent).await,
        by_size(url, From::Redis, extent).await,
    ])
}

async fn by_rows(url: &str, from: From, extent: Extent) -> Table {
    let sizes: &[u64] = match from {
        From::Process => &[1_000, 10_000, 100_000, 1_000_000],
        From::Redis => &[1_000, 10_000, 100_000],
    };
    let mut subjects = Vec::new();
    for size in extent.of(sizes) {
        let cache = from.connect(url, &format!("rows{size}")).await;
        let cached = filled(&cache, *size, BYTES).await;
        subjects.push((format!("{size} rows"), cached, *size));
    }
    from.table("rows", &subjects, extent)
}

async fn by_size(url: &str, from: From, extent: Extent) -> Table {
    let mut subjects = Vec::new();
    for bytes in extent.of(&[100, 1_000, 10_000, 100_000, 1_000_000]) {
        let cache = from.connect(url, &format!("bytes{bytes}")).await;
        let cached = filled(&cache, 10, *bytes).await;
        subjects.push((format!("{bytes} bytes"), cached, 10));
    }
    from.table("the size of a value", &subjects, extent)
}

async fn by_kinds(url: &str, from: From, extent: Extent) -> Table {
    let others: [fn(CacheService) -> Filling; 7] = [
        fill::<1>, fill::<2>, fill::<3>, fill::<4>, fill::<5>, fill::<6>, fill::<7>,
    ];
    let mut subjects = Vec::new();
    for kinds in extent.of(&[1, 2, 8]) {
        let cache = from.connect(url, &format!("kinds{kinds}")).await;
        for other in &others[..kinds - 1] {
            other(cache.clone()).await;
        }
        let cached = filled(&cache, EACH, BYTES).await;
        subjects.push((format!("{kinds} kinds"), cached, EACH));
    }
    from.table("kinds", &subjects, extent)
}

type Filling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Reads rows of another kind, which stay cached.
fn fill<const KIND: usize>(cache: CacheService) -> Filling {
    Box::pin(async move {
        let rows = (0..EACH).map(|number| Record::<0, KIND>::new(number, BYTES));
        let cached = CachedRepository::new(InMemory::holding(rows, Duration::ZERO), &cache);
        let ids: Vec<Uuid> = (0..EACH).map(id).collect();
        let Ok(found) = cached.find_many(&ids).await;
        assert_eq!(found.iter().flatten().count() as u64, EACH);
    })
}

async fn filled(cache: &CacheService, rows: u64, bytes: usize) -> CachedRepository<Records> {
    let records = (0..rows).map(|number| Record::new(number, bytes));
    let cached = CachedRepository::new(InMemory::holding(records, Duration::ZERO), cache);
    let ids: Vec<Uuid> = (0..rows).map(id).collect();
    for ids in ids.chunks(1_000) {
        let Ok(found) = cached.find_many(ids).await;
        assert_eq!(found.iter().flatten().count(), ids.len());
    }
    cached
}

impl From {
    async fn connect(self, url: &str, namespace: &str) -> CacheService {
        let max_staleness = match self {
            Self::Process => CacheConfig::default().max_staleness,
            Self::Redis => Duration::ZERO,
        };
        connect(url, namespace, max_staleness).await
    }

    /// Reads any of the rows, each of which is a hit.
    fn table(
        self,
        what: &str,
        subjects: &[(String, CachedRepository<Records>, u64)],
        extent: Extent,
    ) -> Table {
        let (place, operations) = match self {
            Self::Process => ("in process", extent.hits),
            Self::Redis => ("in Redis", extent.trips),
        };
        let contenders: Vec<Contender<'_>> = subjects
            .iter()
            .map(|(name, cached, rows)| {
                let asked = || cached.source().reads();
                contender(name, operations, asked, async move |number| {
                    // Rows far from each other, each equally often.
                    let number = number.wrapping_mul(7_919) % rows;
                    let Ok(found) = cached.find_by_id(&id(number)).await;
                    let found = found.map(|row| row.number);
                    assert_eq!(found, Some(number), "another record");
                })
            })
            .collect();
        let rows = alternate(extent.rounds, contenders);
        Table::new(format!("A hit {place}, by {what}"), &subjects[0].0, rows)
    }
}
