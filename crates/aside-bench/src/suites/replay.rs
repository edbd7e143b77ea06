//! Recorded requests through the real read path, and their hit ratio.

use std::path::Path;
use std::time::{Duration, Instant};

use aside::{CachedRepository, Source, report::KindStats};

use crate::error::Wrong;
use crate::heroes::{Hero, Heroes, cached, id};
use crate::table::{Cell, Table};
use crate::trace;

/// The weight of an entry beyond its payload.
const OVERHEAD_BYTES: usize = 160;

/// The unit in which a payload is weighed.
const PAYLOAD_UNIT: usize = 16;

/// The fraction of the capacity that may stay empty, because the store divides
/// it among shards, which rows do not fill evenly.
const SLACK: f64 = 0.02;

/// The columns of a replay.
pub(super) const COLUMNS: [&str; 9] = [
    "requests",
    "unique",
    "capacity",
    "held",
    "hits in process",
    "hits below",
    "loads",
    "by another's load",
    "time",
];

/// Replays a trace of one key per line with `capacity` local entries, and `url`
/// below them.
pub(crate) async fn run(file: &Path, capacity: usize, url: &str) -> Result<Vec<Table>, Wrong> {
    let keys = trace::read(file)?;
    let unique = unique(&keys);
    let heroes = Heroes::of(unique, 14, Duration::ZERO);
    let begun = Instant::now();
    let cached = replayed(&keys, &heroes, capacity, url).await?;
    let took = begun.elapsed();
    let stats = cached.cache().stats();
    let kind = stats
        .kinds
        .first()
        .ok_or_else(|| Wrong("nothing was counted".to_owned()))?;
    let (requests, loads) = (keys.len() as u64, heroes.reads());
    let shared = check(kind, requests, loads)?;
    check_held(kind.l1_entries, capacity as u64, unique)?;
    let percent = |hits: u64| Cell::Percent(100.0 * hits as f64 / requests as f64);
    let row = vec![
        Cell::Count(requests),
        Cell::Count(unique),
        Cell::Count(capacity as u64),
        Cell::Count(kind.l1_entries),
        percent(kind.l1_hits),
        percent(kind.l2_hits),
        Cell::Count(loads),
        Cell::Count(shared),
        Cell::Seconds(took.as_secs_f64()),
    ];
    let title = format!("Replay of {}", file.display());
    Ok(vec![Table::counted(title, COLUMNS.to_vec(), vec![row])])
}

/// Returns the number of different keys.
pub(super) fn unique(keys: &[u64]) -> u64 {
    keys.iter().max().map_or(0, |most| most + 1)
}

/// Replays requests through a cache in front of `heroes`, and returns it.
pub(super) async fn replayed(
    keys: &[u64],
    heroes: &Heroes,
    capacity: usize,
    url: &str,
) -> Result<CachedRepository<Heroes>, Wrong> {
    let cached = cached(heroes, url, capacity * weight(unique(keys))).await;
    for key in keys {
        let Ok(found) = cached.find_by_id(&id(*key)).await;
        if found.is_none_or(|row| row.id != id(*key)) {
            return Err(Wrong(format!(
                "the request of key {key} returned another row"
            )));
        }
    }
    Ok(cached)
}

/// Checks that every request was served by a hit, by its own load or by another
/// request's. Returns how many by another's.
pub(super) fn check(kind: &KindStats, requests: u64, loads: u64) -> Result<u64, Wrong> {
    let hits = kind.l1_hits + kind.l2_hits;
    let shared = (kind.misses + kind.bypasses).checked_sub(loads);
    match shared {
        Some(shared) if hits + loads + shared == requests => Ok(shared),
        _ => Err(Wrong(format!(
            "{requests} requests do not add up: {hits} hits, {} misses, {} bypasses, \
             {loads} loads, {} times nothing",
            kind.misses, kind.bypasses, kind.negative_hits
        ))),
    }
}

/// Checks that the bytes computed from the capacity fit as many entries as
/// requested.
pub(super) fn check_held(held: u64, capacity: u64, unique: u64) -> Result<(), Wrong> {
    let least = (capacity.min(unique) as f64 * (1.0 - SLACK)).floor() - 8.0;
    if capacity < held || (held as f64) < least {
        return Err(Wrong(format!(
            "{held} entries are held, where there is room for {capacity} and there are {unique}"
        )));
    }
    Ok(())
}

/// Returns the weight of a local row; all of them weigh the same.
pub(super) fn weight(unique: u64) -> usize {
    let envelope = r#"{"entity":,"cached_at":"2026-01-01T00:00:00.000Z","ttl":3600}"#;
    let row = serde_json::to_string(&Hero::new(unique / 2, 14)).unwrap_or_default();
    OVERHEAD_BYTES + (envelope.len() + row.len()).next_multiple_of(PAYLOAD_UNIT)
}
