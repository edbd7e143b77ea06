//! Real requests through the real read path: how often it finds a row.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use aside::Repository;
use ruzstd::decoding::StreamingDecoder;

use crate::Wrong;
use crate::heroes::{Hero, Heroes, cached, id};

/// What an entry weighs beyond its payload.
const OVERHEAD_BYTES: usize = 160;

/// Replays a trace of one key per line against `capacity` in-process entries,
/// with `url` below them.
pub(crate) async fn run(file: &Path, capacity: usize, url: &str) -> Result<(), Wrong> {
    let keys = read(file)?;
    let unique = keys.iter().max().map_or(0, |most| most + 1);
    let heroes = Heroes::of(unique, 14, Duration::ZERO);
    let weight = OVERHEAD_BYTES + payload_bytes(unique);
    let cached = cached(&heroes, url, capacity * weight).await;
    let begun = Instant::now();
    for key in &keys {
        let Ok(found) = cached.find_by_id(&id(*key)).await;
        if found.is_none_or(|row| row.id != id(*key)) {
            return Err(Wrong(format!(
                "the answer to request of key {key} is another row"
            )));
        }
    }
    let took = begun.elapsed();
    let stats = cached.cache().stats();
    let kind = stats
        .kinds
        .first()
        .ok_or_else(|| Wrong("nothing was counted".to_owned()))?;
    let requests = keys.len() as f64;
    let percent = |hits: u64| 100.0 * hits as f64 / requests;
    println!(
        "\n| requests | unique | capacity | held | hits in process | hits below | loads | time |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    println!(
        "| {} | {unique} | {capacity} | {} | {:.2} % | {:.2} % | {} | {:.1} s |",
        keys.len(),
        kind.l1_entries,
        percent(kind.l1_hits),
        percent(kind.l2_hits),
        heroes.reads(),
        took.as_secs_f64(),
    );
    Ok(())
}

/// What a row's payload takes, measured on one of medium number.
fn payload_bytes(unique: u64) -> usize {
    let envelope = r#"{"entity":,"cached_at":"2026-01-01T00:00:00.000Z","ttl":3600}"#;
    let row = serde_json::to_string(&Hero::new(unique / 2, 14)).unwrap_or_default();
    envelope.len() + row.len()
}

/// The requests, each key as the number of its first appearance.
fn read(path: &Path) -> Result<Vec<u64>, Wrong> {
    let wrong = |error: &dyn std::fmt::Display| Wrong(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|ending| ending == "zst") {
        Box::new(StreamingDecoder::new(file).map_err(|error| wrong(&error))?)
    } else {
        Box::new(file)
    };
    let (mut numbers, mut keys) = (HashMap::new(), Vec::new());
    for line in BufReader::new(reader).lines() {
        let line = line.map_err(|error| wrong(&error))?;
        if !line.is_empty() {
            let next = numbers.len() as u64;
            keys.push(*numbers.entry(line).or_insert(next));
        }
    }
    Ok(keys)
}
