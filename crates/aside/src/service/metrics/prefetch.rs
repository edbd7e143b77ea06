//! The metrics of rows that are fetched before they are read.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::metrics::gauge::ConstGauge;

use super::Kinds;
use crate::insight::statistics::Guessed;
use crate::service::page::Page;
use crate::tiers::Tiers;

/// Encodes the batches, and the share that a guess needs.
pub(super) fn service(page: &mut Page<'_>, tiers: &Tiers) -> fmt::Result {
    let batches = tiers.prefetch.batches.load(Relaxed);
    let help = "Batches fetched before they were read";
    page.counter("aside_prefetch_batches", help, batches)?;
    let share = f64::from(tiers.prefetch.share_required());
    let help = "The share of reads that a key must follow to be fetched ahead";
    page.encode(
        "aside_prefetch_share_required",
        help,
        &ConstGauge::new(share),
    )
}

/// Encodes the fates of rows that were fetched before they were read.
pub(super) fn rows(page: &mut Page<'_>, kinds: &Kinds) -> fmt::Result {
    let mut rows = Vec::new();
    for (entity, kind) in kinds {
        for outcome in Guessed::ALL {
            let labels = vec![("entity", *entity), ("outcome", outcome.as_str())];
            rows.push((labels, kind.statistics().guesses(outcome)));
        }
    }
    let help = "Rows fetched before they were read";
    page.counters("aside_prefetch_rows", help, rows)
}
