//! The metrics of the warm-ups of a start.

use std::fmt;

use super::Kinds;
use crate::service::page::Page;
use crate::tiers::Tiers;

/// Encodes the progress of each kind; zeros if there is nothing to read.
pub(super) fn progress(page: &mut Page<'_>, tiers: &Tiers, kinds: &Kinds) -> fmt::Result {
    let progress = tiers.warm_ups.progress();
    let mut keys = Vec::new();
    for entity in kinds.keys() {
        let of_kind = progress.get(*entity).copied().unwrap_or_default();
        let left = of_kind.total.saturating_sub(of_kind.done);
        for (state, count) in [("done", of_kind.done), ("left", left)] {
            keys.push((vec![("entity", *entity), ("state", state)], count as u64));
        }
    }
    let help = "Rows and lists of the warm-up of the start, read and not read yet";
    page.gauges("aside_warm_up_keys", help, keys)
}
