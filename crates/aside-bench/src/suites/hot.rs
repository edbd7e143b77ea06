//! The hot keys of a replayed trace, against exact counts.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use aside::Source;

use crate::error::Wrong;
use crate::heroes::{Heroes, cached, id};
use crate::suites::replay::{unique, weight};
use crate::table::{Cell, Table};
use crate::trace;

/// The keys that are compared.
const TOP: usize = 20;

/// How many of them must be found.
const MIN_FOUND: usize = 17;

/// The largest average error of their counts, in percent.
const MAX_ERROR: f64 = 20.0;

/// The requests between two visits of the samples. With the task's ten visits a second
/// it is a pace of 80,000 requests a second.
const PER_VISIT: usize = 8_000;

/// Replays a trace with `capacity` local entries, and compares the hot keys with the
/// counts. Fails if too few are found, or their counts are wrong.
pub(crate) async fn run(file: &Path, capacity: usize) -> Result<Vec<Table>, Wrong> {
    let keys = trace::read(file)?;
    let unique = unique(&keys);
    let heroes = Heroes::of(unique, 14, Duration::ZERO);
    let cached = cached(&heroes, "memory://", capacity * weight(unique)).await;
    for requests in keys.chunks(PER_VISIT) {
        for key in requests {
            let Ok(found) = cached.find_by_id(&id(*key)).await;
            if found.is_none() {
                return Err(Wrong(format!("the request of key {key} found nothing")));
            }
        }
        // Takes the samples, as the task does.
        let _ = cached.cache().hot_keys(0);
    }
    let counts = exact(&keys, unique);
    let mut sorted = counts.clone();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    // Keys that are read equally often count as found alike.
    let least = sorted.get(TOP - 1).copied().unwrap_or(1).max(1);
    let numbers: HashMap<String, u64> = (0..unique)
        .map(|number| (format!("hero:{}", id(number)), number))
        .collect();
    let mut errors = Vec::new();
    let mut rows = Vec::new();
    for hot in cached.cache().hot_keys(TOP) {
        let number = numbers.get(&hot.key);
        let number = number.ok_or_else(|| Wrong(format!("{} is no key", hot.key)))?;
        let reads = counts[usize::try_from(*number).unwrap_or(usize::MAX)];
        let estimated = hot.share * keys.len() as f64;
        if least <= reads {
            errors.push(100.0 * (estimated / reads as f64 - 1.0).abs());
        }
        rows.push(vec![
            Cell::Name(hot.key),
            Cell::Count(reads),
            Cell::Count(estimated.round() as u64),
        ]);
    }
    let average = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
    let worst = errors.iter().copied().fold(0.0, f64::max);
    let stats = cached.cache().stats();
    let summary = vec![
        Cell::Count(keys.len() as u64),
        Cell::Count(stats.sampled),
        Cell::Count(stats.samples_dropped),
        Cell::Of(errors.len() as u64, TOP as u64),
        Cell::Percent(average),
        Cell::Percent(worst),
    ];
    let columns = vec!["key", "reads", "estimated"];
    let name = file.display();
    let tables = vec![
        Table::counted(
            format!("Hot keys of {name}"),
            SUMMARY.to_vec(),
            vec![summary],
        ),
        Table::counted(format!("The hottest keys of {name}"), columns, rows),
    ];
    match errors.len() {
        found if found < MIN_FOUND => Err(Wrong(format!("{found} of {TOP} hot keys are found"))),
        _ if MAX_ERROR < average => Err(Wrong(format!("counts are {average:.1} % off"))),
        _ => Ok(tables),
    }
}

const SUMMARY: [&str; 6] = [
    "requests",
    "sampled",
    "dropped",
    "found",
    "average error",
    "largest error",
];

/// Returns how often each key is requested.
fn exact(keys: &[u64], unique: u64) -> Vec<u64> {
    let mut counts = vec![0; usize::try_from(unique).unwrap_or(usize::MAX)];
    for key in keys {
        counts[usize::try_from(*key).unwrap_or(usize::MAX)] += 1;
    }
    counts
}
