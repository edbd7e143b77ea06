//! The memory of the local tier.

use std::time::Duration;

use super::figures::{bytes, number, percent, times};
use super::observed::{MIN_READS, Observed};
use super::{Advice, Confidence};
use crate::config::CacheConfig;
use crate::service::curve::{Curve, CurvePoint};

/// An estimate whose ghost of the present size is off by more says nothing.
const MAX_ERROR_POINTS: f64 = 6.0;

/// Twice the size must gain at least so many points of the reads.
const MIN_GAIN_POINTS: f64 = 1.0;

/// Half the size must lose less.
const MAX_LOSS_POINTS: f64 = 0.3;

/// An estimate with a smaller error is good.
const GOOD_ERROR_POINTS: f64 = 2.0;

/// The smallest capacity that is halved.
const MIN_CAPACITY: u64 = 2 << 20;

/// The hit ratio of all reads at another size.
struct Estimate {
    now: f64,
    gain_points: f64,
    error_points: f64,
    reads: u64,
    sampled: u64,
}

/// Advises another `CACHE_L1_CAPACITY`.
pub(super) fn advise(curves: &[Curve], config: &CacheConfig, kinds: &[Observed]) -> Option<Advice> {
    let parts = [0, 1].map(|part| kinds.iter().map(|kind| kind.by_part[part]).sum::<u64>());
    let capacity = config.l1_capacity_bytes as u64;
    let larger = estimate(curves, parts, 2.0)?;
    if MIN_GAIN_POINTS <= larger.gain_points {
        return Some(double(&larger, capacity, kinds));
    }
    let is_known = |(part, reads): (usize, &u64)| {
        let name = ["rows", "lists"][part];
        let curve = curves.iter().find(|curve| curve.pool == name);
        *reads == 0 || curve.is_some_and(|curve| at(curve, 0.5).is_some())
    };
    let smaller = estimate(curves, parts, 0.5)?;
    let halves = parts.iter().enumerate().all(is_known)
        && smaller.gain_points.abs() < MAX_LOSS_POINTS
        && MIN_CAPACITY <= capacity;
    halves.then(|| halve(&smaller, capacity))
}

fn at(curve: &Curve, size: f64) -> Option<&CurvePoint> {
    let mut points = curve.points.iter();
    points.find(|point| (point.size - size).abs() < 1e-9)
}

/// Returns the change of the hit ratio of all reads at a size; `None` if it cannot be
/// estimated well.
#[allow(clippy::cast_precision_loss)]
fn estimate(curves: &[Curve], parts: [u64; 2], size: f64) -> Option<Estimate> {
    let all: u64 = parts.iter().sum();
    let mut sum = Estimate {
        now: 0.0,
        gain_points: 0.0,
        error_points: 0.0,
        reads: 0,
        sampled: 0,
    };
    for curve in curves {
        let reads = parts[usize::from(curve.pool == "lists")];
        let part = reads as f64 / all.max(1) as f64;
        sum.now += part * curve.hit_ratio;
        // Without an estimate nothing is known of this part, and nothing promised.
        if let Some(point) = at(curve, size) {
            sum.gain_points += part * point.gain_points;
            sum.error_points = sum.error_points.max(curve.error_points?.abs());
            sum.reads += curve.reads;
            sum.sampled += curve.sampled;
        }
    }
    let is_known = MIN_READS <= sum.reads && sum.error_points <= MAX_ERROR_POINTS;
    is_known.then_some(sum)
}

impl Estimate {
    fn ratios(&self) -> String {
        let then = self.now + self.gain_points / 100.0;
        format!("{:.1} % -> {:.1} %", 100.0 * self.now, 100.0 * then)
    }

    #[allow(clippy::cast_precision_loss)]
    fn evidence(&self) -> String {
        format!(
            "simulations of other sizes, by {} of {} reads; that of the present size is off by \
             {:.1} points",
            number(self.sampled as f64),
            number(self.reads as f64),
            self.error_points
        )
    }

    fn confidence(&self) -> Confidence {
        match self.error_points < GOOD_ERROR_POINTS {
            true => Confidence::Good,
            false => Confidence::Fair,
        }
    }
}

fn double(estimate: &Estimate, capacity: u64, kinds: &[Observed]) -> Advice {
    let reads: f64 = kinds.iter().map(|kind| kind.per_hour(kind.reads)).sum();
    let saved = reads * estimate.gain_points / 100.0;
    let trip = kinds.iter().map(|kind| kind.trip).max();
    let then = estimate.now + estimate.gain_points / 100.0;
    Advice {
        rule: "memory",
        kind: None,
        set: format!("CACHE_L1_CAPACITY={}", bytes(2 * capacity)),
        gain: format!(
            "+{:.1} points of local hits ({}): {} fewer reads of Redis or the database a minute",
            estimate.gain_points,
            estimate.ratios(),
            number(saved / 60.0)
        ),
        evidence: estimate.evidence(),
        confidence: estimate.confidence(),
        against: format!("{} more memory in each instance", bytes(capacity)),
        wrong_if: format!(
            "`l1_hit` of `aside_reads_total` does not reach {} of the reads once the memory is full",
            percent(then)
        ),
        saves_per_hour: times(trip.unwrap_or_default(), saved),
    }
}

fn halve(estimate: &Estimate, capacity: u64) -> Advice {
    Advice {
        rule: "memory",
        kind: None,
        set: format!("CACHE_L1_CAPACITY={}", bytes(capacity / 2)),
        gain: format!("up to {} less memory in each instance", bytes(capacity / 2)),
        evidence: estimate.evidence(),
        confidence: estimate.confidence(),
        against: format!("local hits: {}", estimate.ratios()),
        wrong_if: "`l1_hit` of `aside_reads_total` falls by more than that".to_owned(),
        saves_per_hour: Duration::ZERO,
    }
}
