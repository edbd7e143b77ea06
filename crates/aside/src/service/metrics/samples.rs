//! The metrics of sampled reads.

use std::fmt;

use super::Kinds;
use crate::service::page::Page;
use crate::tiers::Tiers;

/// Encodes the ages of values when they were read.
pub(super) fn ages(page: &mut Page<'_>, kinds: &Kinds) -> fmt::Result {
    let mut ages = Vec::new();
    for (entity, kind) in kinds {
        for (tier, histogram) in kind.statistics().ages() {
            let labels = vec![("entity", *entity), ("tier", tier.as_str())];
            ages.push((labels, histogram));
        }
    }
    let help = "Time since the load of values that sampled reads returned";
    page.histograms("aside_age_at_serve_seconds", help, ages)
}

/// Encodes how many reads were sampled.
pub(super) fn counts(page: &mut Page<'_>, tiers: &Tiers) -> fmt::Result {
    let (taken, dropped) = tiers.sample_counts();
    let labelled = |outcome, count| (vec![("outcome", outcome)], count);
    let counts = vec![labelled("taken", taken), labelled("dropped", dropped)];
    page.counters("aside_samples", "Reads that were drawn, one of 64", counts)
}
