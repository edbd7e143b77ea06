//! The metrics of local entries, and of other sizes of their memory.

use std::fmt;

use super::Kinds;
use crate::service::curve::curves;
use crate::service::page::Page;
use crate::tiers::Tiers;

/// Encodes how many there are of each kind.
pub(super) fn entries(page: &mut Page<'_>, tiers: &Tiers, kinds: &Kinds) -> fmt::Result {
    let (mut entries, mut bytes, mut evictions) = (Vec::new(), Vec::new(), Vec::new());
    for (entity, kind) in kinds {
        let labels = vec![("entity", *entity)];
        let (held, weight, evicted) = tiers.local_of(entity, &**kind);
        entries.push((labels.clone(), held));
        bytes.push((labels.clone(), weight));
        evictions.push((labels, evicted));
    }
    page.gauges("aside_l1_entries", "Local entries, valid or not", entries)?;
    page.gauges("aside_l1_bytes", "Size of local entries", bytes)?;
    page.counters("aside_l1_evictions", "Local entries evicted", evictions)
}

/// Encodes the hit ratio of each size, and the error of the estimate.
pub(super) fn sizes(page: &mut Page<'_>, tiers: &Tiers) -> fmt::Result {
    let (mut ratios, mut errors) = (Vec::new(), Vec::new());
    for curve in curves(tiers) {
        let labelled =
            |size: f64| vec![("pool", curve.pool.to_owned()), ("size", size.to_string())];
        ratios.push((labelled(1.0), curve.hit_ratio));
        let points = curve.points.iter();
        ratios.extend(points.map(|point| (labelled(point.size), point.hit_ratio)));
        let error = curve.error_points.unwrap_or(f64::NAN);
        errors.push((vec![("pool", curve.pool.to_owned())], error));
    }
    page.ratios(
        "aside_l1_hit_ratio_at",
        "Hit ratio of local entries with another size of the memory; counted at size 1, else estimated",
        ratios,
    )?;
    page.ratios(
        "aside_ghost_error_points",
        "Points by which the estimate for the present size differs from the counted ratio",
        errors,
    )
}
