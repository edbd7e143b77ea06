//! How the hits in process would change with another size of the local tier.

use crate::local::{Curve as Measured, Part};
use crate::service::CacheService;
use crate::tiers::Tiers;

/// The hit ratio of a part of the local tier, and that of other sizes.
///
/// They are estimated from a sample of the keys, in stores of names alone. Rows
/// and lists have separate parts of `CACHE_L1_CAPACITY`; all kinds share them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Curve {
    /// `rows` or `lists`.
    pub pool: &'static str,
    /// The memory that it may use now.
    pub capacity_bytes: u64,
    /// The counted part of reads that it served, 0.0 to 1.0.
    pub hit_ratio: f64,
    /// The reads since the sample began.
    pub reads: u64,
    /// How many of them were in the sample.
    pub sampled: u64,
    /// Other sizes; empty if too few entries are held for an estimate.
    pub points: Vec<CurvePoint>,
    /// By how many points of the hit ratio the estimate for the present size is
    /// off. Differences between sizes are surer than that.
    pub error_points: Option<f64>,
}

/// Another size of a part of the local tier.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CurvePoint {
    /// Relative to the present size.
    pub size: f64,
    /// In bytes.
    pub capacity_bytes: u64,
    /// The estimated hit ratio, 0.0 to 1.0.
    pub hit_ratio: f64,
    /// The estimated difference to the present hit ratio, in points: hundredths
    /// of the reads.
    pub gain_points: f64,
}

impl Curve {
    fn of(part: Part, measured: &Measured) -> Self {
        let present = measured.points.iter().find(|point| point.0 == 1.0);
        let points = measured.points.iter().zip(present.into_iter().cycle());
        let points = points.map(|((size, ratio), (_, present))| CurvePoint {
            size: *size,
            capacity_bytes: (measured.capacity as f64 * size) as u64,
            hit_ratio: (measured.hit_ratio + ratio - present).clamp(0.0, 1.0),
            gain_points: 100.0 * (ratio - present),
        });
        Self {
            pool: part.as_str(),
            capacity_bytes: measured.capacity,
            hit_ratio: measured.hit_ratio,
            reads: measured.reads,
            sampled: measured.sampled,
            points: points.filter(|point| point.size != 1.0).collect(),
            error_points: present.map(|(_, ratio)| 100.0 * (ratio - measured.hit_ratio)),
        }
    }
}

impl CacheService {
    /// Returns how the hits in process would change with another
    /// `CACHE_L1_CAPACITY`, for rows and for lists. A part that was not read yet is
    /// left out.
    #[must_use]
    pub fn curves(&self) -> Vec<Curve> {
        curves(self.tiers())
    }
}

pub(super) fn curves(tiers: &Tiers) -> Vec<Curve> {
    let parts = Part::ALL.into_iter();
    let curves = parts.filter_map(|part| Some((part, tiers.curve(part)?)));
    curves
        .map(|(part, measured)| Curve::of(part, &measured))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_begins_at_the_counted_ratio() {
        let measured = Measured {
            capacity: 1_000,
            hit_ratio: 0.5,
            reads: 100,
            sampled: 10,
            points: vec![(0.5, 0.4), (1.0, 0.45), (2.0, 0.47)],
        };
        let curve = Curve::of(Part::Rows, &measured);
        let points: Vec<_> = curve.points.iter().map(|point| point.hit_ratio).collect();
        assert!((points[0] - 0.45).abs() < 1e-9 && (points[1] - 0.52).abs() < 1e-9);
        assert_eq!(curve.points[1].capacity_bytes, 2_000);
        assert!((curve.error_points.unwrap() + 5.0).abs() < 1e-9);
        // Without an estimate for the present size there is no difference to it.
        let measured = Measured {
            points: vec![(4.0, 0.6)],
            ..measured
        };
        let curve = Curve::of(Part::Rows, &measured);
        assert_eq!((curve.points.len(), curve.error_points), (0, None));
    }
}
