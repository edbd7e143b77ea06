//! Updates: by the lists that contain a row, and by subscribed instances.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aside::{CacheConfig, CacheService, CachedRepository, Freshness, Repository, Source};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::{Extent, connect, contender};
use crate::error::Wrong;
use crate::heroes::{InMemory, id};
use crate::record::Record;
use crate::rounds::{Contender, alternate};
use crate::table::Table;

const BYTES: usize = 500;
const ROWS: u64 = 100;

pub(super) async fn run(url: &str, extent: Extent) -> Result<Vec<Table>, Wrong> {
    let by_indexes = by_indexes(url, extent).await;
    Ok(vec![by_indexes, by_instances(url, extent).await?])
}

async fn by_indexes(url: &str, extent: Extent) -> Table {
    let bound = CacheConfig::default().max_staleness;
    let cache = connect(url, "indexes", bound).await;
    let contenders = vec![
        of_lists::<0, 0>(&cache, extent),
        of_lists::<1, 1>(&cache, extent),
        of_lists::<2, 2>(&cache, extent),
        of_lists::<4, 3>(&cache, extent),
        of_lists::<8, 4>(&cache, extent),
    ];
    let rows = alternate(extent.rounds, contenders);
    let title = "An update, by indexes (and, with any, the list of all)".to_owned();
    Table::new(title, "0 indexes", rows)
}

/// Each type is a kind, because a service refuses two types of one kind.
fn of_lists<const LISTS: usize, const KIND: usize>(
    cache: &CacheService,
    extent: Extent,
) -> Contender<'static> {
    let rows = (0..ROWS).map(|number| Record::<LISTS, KIND>::new(number, BYTES));
    let source = InMemory::holding(rows, Duration::ZERO);
    let cached = CachedRepository::new(source, cache);
    let name = format!("{LISTS} indexes");
    contender(
        &name,
        extent.trips,
        || 0,
        async move |number| {
            let row = Record::new(number % ROWS, BYTES);
            let Ok(updated) = cached.update(row).await;
            assert!(updated.is_some(), "the record exists");
        },
    )
}

async fn by_instances(url: &str, extent: Extent) -> Result<Table, Wrong> {
    let bound = CacheConfig::default().max_staleness;
    let mut groups = Vec::new();
    for instances in extent.of(&[1, 2, 4, 8, 16]) {
        // Only the instances of one namespace get each other's messages.
        let namespace = format!("instances{instances}");
        let rows = (0..ROWS).map(|number| Record::<0>::new(number, BYTES));
        let source = InMemory::holding(rows, Duration::ZERO);
        let mut group = Vec::new();
        for _ in 0..*instances {
            let cache = connect(url, &namespace, bound).await;
            group.push(CachedRepository::new(source.clone(), &cache));
        }
        groups.push(group);
    }
    let version = AtomicU64::new(1);
    let contenders = groups
        .iter()
        .map(|group| {
            let name = format!("{} instances", group.len());
            contender(
                &name,
                extent.trips,
                || 0,
                async |number| {
                    let version = version.fetch_add(1, Ordering::Relaxed);
                    let row = Record {
                        version,
                        ..Record::new(number % ROWS, BYTES)
                    };
                    let Ok(updated) = group[0].update(row).await;
                    assert!(updated.is_some(), "the record exists");
                },
            )
        })
        .collect();
    let rows = alternate(extent.rounds, contenders);
    for group in &groups {
        block_in_place(|| Handle::current().block_on(check(group)))?;
    }
    let title = "An update, by instances that hear of it".to_owned();
    Ok(Table::new(title, "1 instances", rows))
}

/// Checks that every instance returns the first instance's writes.
async fn check(group: &[CachedRepository<InMemory<Record<0>>>]) -> Result<(), Wrong> {
    for number in 0..ROWS {
        let Ok(stored) = group[0].source().find_by_id(&id(number)).await;
        for cached in group {
            let Ok(read) = cached.find_by_id_with(&id(number), Freshness::Shared).await;
            if read.value != stored {
                let said = format!("an instance is behind the write of record {number}");
                return Err(Wrong(said));
            }
        }
    }
    Ok(())
}
