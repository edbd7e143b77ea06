//! A trace of many kinds, whose rows share the local tier.
//!
//! The kind of a row is the part of its key before the first colon.

use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, Secret, Source};

use crate::error::Wrong;
use crate::heroes::{InMemory, id};
use crate::record::{MAX_KINDS, Record};
use crate::table::{Cell, Table};
use crate::trace;

/// The length of a row's content.
const BYTES: usize = 14;

/// Numbers begin here, so that all have as many digits and all rows one weight.
const FIRST_NUMBER: u64 = 1 << 30;

/// Replays a trace with `capacity` local entries for all kinds together, over
/// `memory://`.
pub(crate) async fn run(file: &Path, capacity: usize) -> Result<Vec<Table>, Wrong> {
    let names = trace::names(file)?;
    let requests = requests(&names)?;
    let count = requests.iter().map(|(kind, _)| kind + 1).max().unwrap_or(0);
    let weight = weight().await;
    let cache = service(capacity * weight).await;
    let mut rows: Vec<Vec<u64>> = vec![Vec::new(); count];
    let mut known = std::collections::HashSet::new();
    for (kind, number) in &requests {
        if known.insert(*number) {
            rows[*kind].push(*number);
        }
    }
    let kinds: Vec<Box<dyn Reads>> = rows
        .into_iter()
        .enumerate()
        .map(|(kind, rows)| of_kind(kind, rows, &cache))
        .collect();
    let begun = Instant::now();
    for (kind, number) in &requests {
        if !kinds[*kind].read(*number).await {
            return Err(Wrong(format!("row {number} was not returned")));
        }
    }
    let took = begun.elapsed();
    let stats = cache.stats().kinds;
    let hits: u64 = stats.iter().map(|kind| kind.l1_hits).sum();
    let held: u64 = stats.iter().map(|kind| kind.l1_entries).sum();
    let row = vec![
        Cell::Count(requests.len() as u64),
        Cell::Count(count as u64),
        Cell::Count(known.len() as u64),
        Cell::Count(capacity as u64),
        Cell::Count(held),
        Cell::Percent(100.0 * hits as f64 / requests.len() as f64),
        Cell::Seconds(took.as_secs_f64()),
    ];
    let columns = vec![
        "requests",
        "kinds",
        "unique",
        "capacity",
        "held",
        "hits in process",
        "time",
    ];
    let title = format!("Replay of {} by kinds", file.display());
    Ok(vec![Table::counted(title, columns, vec![row])])
}

/// Returns the kind and the number of each request.
fn requests(names: &[String]) -> Result<Vec<(usize, u64)>, Wrong> {
    let (mut kinds, mut numbers) = (HashMap::new(), HashMap::new());
    let numbered = names.iter().map(|name| {
        let kind = name.split(':').next().unwrap_or_default();
        let next = kinds.len();
        let kind = *kinds.entry(kind).or_insert(next);
        let next = FIRST_NUMBER + numbers.len() as u64;
        (kind, *numbers.entry(name.as_str()).or_insert(next))
    });
    let numbered: Vec<_> = numbered.collect();
    if MAX_KINDS < kinds.len() {
        let count = kinds.len();
        return Err(Wrong(format!(
            "{count} kinds, and this program knows {MAX_KINDS}; with `--features kinds` it \
             knows 32"
        )));
    }
    Ok(numbered)
}

/// Returns the size of a local entry.
async fn weight() -> usize {
    let cache = service(1 << 20).await;
    let one = of_kind(0, vec![FIRST_NUMBER], &cache);
    one.read(FIRST_NUMBER).await;
    let bytes = cache.stats().kinds[0].l1_bytes;
    usize::try_from(bytes).expect("one entry")
}

async fn service(l1_capacity_bytes: usize) -> CacheService {
    let config = CacheConfig {
        redis_url: Secret::new("memory://"),
        l1_capacity_bytes,
        ..CacheConfig::default()
    };
    CacheService::connect(config).await
}

/// A cached repository of any kind.
trait Reads {
    /// Reads a row. Returns true if it was returned.
    fn read(&self, number: u64) -> Pin<Box<dyn Future<Output = bool> + '_>>;
}

struct OfKind<const KIND: usize>(CachedRepository<InMemory<Record<0, KIND>>>);

impl<const KIND: usize> OfKind<KIND> {
    fn boxed(rows: Vec<u64>, cache: &CacheService) -> Box<dyn Reads> {
        let rows = rows.into_iter().map(|number| Record::new(number, BYTES));
        let rows = InMemory::holding(rows, Duration::ZERO);
        Box::new(Self(CachedRepository::new(rows, cache)))
    }
}

impl<const KIND: usize> Reads for OfKind<KIND> {
    fn read(&self, number: u64) -> Pin<Box<dyn Future<Output = bool> + '_>> {
        Box::pin(async move {
            let Ok(found) = self.0.find_by_id(&id(number)).await;
            found.is_some_and(|row| row.number == number)
        })
    }
}

/// Makes a function that returns a repository of one of the listed kinds.
macro_rules! of_kinds {
    ($($kind:literal)*) => {
        fn of_kind(kind: usize, rows: Vec<u64>, cache: &CacheService) -> Box<dyn Reads> {
            match kind {
                $($kind => OfKind::<$kind>::boxed(rows, cache),)*
                _ => unreachable!("`requests` knows as many kinds"),
            }
        }
    };
}

#[cfg(not(feature = "kinds"))]
of_kinds!(0 1 2 3);
#[cfg(feature = "kinds")]
of_kinds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
