//! The estimated hit ratios of other capacities, against replays with them.

use std::path::Path;
use std::time::Duration;

use crate::error::Wrong;
use crate::heroes::Heroes;
use crate::suites::replay;
use crate::table::{Cell, Table};
use crate::trace;

/// Capacities relative to the one that is asked for.
const SIZES: [f64; 2] = [0.5, 2.0];

/// By how many points an estimated gain may differ from the measured one.
const MAX_ERROR: f64 = 1.5;

/// Replays a trace with `capacity` local entries, and with half and twice as many.
/// Fails if an estimate of the first is wrong.
pub(crate) async fn run(file: &Path, capacity: usize) -> Result<Vec<Table>, Wrong> {
    let keys = trace::read(file)?;
    let heroes = Heroes::of(replay::unique(&keys), 14, Duration::ZERO);
    let replayed = async |capacity: usize| {
        let cached = replay::replayed(&keys, &heroes, capacity, "memory://").await?;
        let hits = cached.cache().stats().kinds[0].l1_hits;
        let curve = cached
            .curve()
            .ok_or_else(|| Wrong("nothing was read".to_owned()))?;
        Ok::<_, Wrong>((100.0 * hits as f64 / keys.len() as f64, curve))
    };
    let (present, curve) = replayed(capacity).await?;
    let mut rows = vec![row(capacity, present, 0.0, 0.0)];
    let mut errors = Vec::new();
    for size in SIZES {
        let capacity = (capacity as f64 * size) as usize;
        let (hits, _) = replayed(capacity).await?;
        let point = curve.points.iter().find(|point| point.size == size);
        let Some(point) = point else {
            continue;
        };
        rows.push(row(capacity, hits, hits - present, point.gain_points));
        errors.push((point.gain_points - (hits - present)).abs());
    }
    let columns = vec![
        "entries",
        "hits in process",
        "gain, measured",
        "gain, estimated",
    ];
    let title = format!("Curve of {}", file.display());
    let tables = vec![Table::counted(title, columns, rows)];
    match errors.iter().copied().reduce(f64::max) {
        None => Err(Wrong("too few entries for an estimate".to_owned())),
        Some(worst) if MAX_ERROR < worst => {
            Err(Wrong(format!("an estimated gain is {worst:.2} points off")))
        }
        Some(_) => Ok(tables),
    }
}

fn row(entries: usize, hits: f64, measured: f64, estimated: f64) -> Vec<Cell> {
    vec![
        Cell::Count(entries as u64),
        Cell::Percent(hits),
        Cell::Percent(measured),
        Cell::Percent(estimated),
    ]
}
