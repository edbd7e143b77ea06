//! The arithmetic of a comparison: medians of passes, and the spread of the
//! medians of one build.

use std::fmt;

use crate::rounds::spread;
use crate::table::Unit;

/// How much slower a figure may be than its spread explains.
const ALLOWED: f64 = 1.03;

/// How often the passes are drawn again for the spread, and the seed. The same
/// figures always give the same verdict.
const DRAWS: usize = 2_000;
const SEED: u64 = 1;

/// One figure of two builds. Ratios are of times: above 1 is slower, even if
/// the figure is a rate.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The medians of all passes.
    pub(crate) this: f64,
    pub(crate) other: f64,
    /// This build's median by the other's.
    pub(crate) ratio: f64,
    /// The range of that ratio in 95 of 100 draws if both builds are this one.
    pub(crate) itself: [f64; 2],
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Slower by more than 3 % beyond the spread.
    Slower,
    Within,
    /// Faster by more than 3 % beyond the spread.
    Faster,
}

impl Comparison {
    /// Compares a figure's medians, pass by pass; one index is one round.
    pub(crate) fn of(unit: Unit, this: &[f64], other: &[f64], again: &[f64]) -> Self {
        let ratio = in_time(unit, median(this) / median(other));
        let itself = of_one_build(this, again);
        Self {
            this: median(this),
            other: median(other),
            ratio,
            itself,
            verdict: Verdict::of(ratio, itself),
        }
    }
}

impl Verdict {
    fn of(ratio: f64, [lowest, highest]: [f64; 2]) -> Self {
        if highest * ALLOWED < ratio {
            Self::Slower
        } else if ratio < lowest / ALLOWED {
            Self::Faster
        } else {
            Self::Within
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Slower => "**slower**",
            Self::Within => "within",
            Self::Faster => "faster",
        })
    }
}

/// Draws the ratio of medians from the same rounds again and again. Each drawn
/// ratio also counts inverted, because either pass could have been the first.
///
/// Ratios of single rounds were refused. They scatter more than medians do, and
/// more so with more rounds. No verdict could be reached.
fn of_one_build(this: &[f64], again: &[f64]) -> [f64; 2] {
    let rounds: Vec<(f64, f64)> = this.iter().copied().zip(again.iter().copied()).collect();
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut ratios: Vec<f64> = (0..DRAWS)
        .flat_map(|_| {
            let drawn = rounds.iter().map(|_| rounds[random.usize(..rounds.len())]);
            let (this, again): (Vec<f64>, Vec<f64>) = drawn.unzip();
            let ratio = median(&again) / median(&this);
            [ratio, ratio.recip()]
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let beyond = ratios.len() / 40;
    [ratios[beyond], ratios[ratios.len() - 1 - beyond]]
}

/// Inverts a ratio of rates.
fn in_time(unit: Unit, ratio: f64) -> f64 {
    match unit {
        Unit::PerSecond => ratio.recip(),
        Unit::Nanoseconds | Unit::Bytes => ratio,
    }
}

fn median(figures: &[f64]) -> f64 {
    let [median, ..] = spread(figures.iter().copied());
    median
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIS: [f64; 5] = [100.0, 102.0, 99.0, 101.0, 100.0];
    const AGAIN: [f64; 5] = [101.0, 100.0, 100.0, 99.0, 102.0];

    fn times(by: f64) -> [f64; 5] {
        THIS.map(|figure| figure * by)
    }

    fn judge(unit: Unit, other: &[f64], again: &[f64]) -> Comparison {
        Comparison::of(unit, &THIS, other, again)
    }

    #[test]
    fn the_ratio_of_medians_ignores_one_slow_pass() {
        let compared = judge(Unit::Nanoseconds, &[80.0, 80.0, 9e9, 80.0, 80.0], &AGAIN);
        assert_eq!((compared.this, compared.other), (100.0, 80.0));
        assert_eq!(compared.ratio, 1.25);
    }

    #[test]
    fn a_build_beside_itself_is_within_its_spread() {
        let compared = judge(Unit::Nanoseconds, &AGAIN, &AGAIN);
        let [lowest, highest] = compared.itself;
        assert!((1.0..=1.04).contains(&highest), "{compared:?}");
        assert!((lowest - highest.recip()).abs() < 1e-9, "{compared:?}");
        assert_eq!(compared.verdict, Verdict::Within);
    }

    #[test]
    fn a_build_beyond_spread_and_three_percent_is_slower() {
        assert_eq!(
            judge(Unit::Nanoseconds, &times(0.9), &AGAIN).verdict,
            Verdict::Slower
        );
        assert_eq!(
            judge(Unit::Nanoseconds, &times(1.2), &AGAIN).verdict,
            Verdict::Faster
        );
        // A verdict on two percent would need a spread of zero.
        assert_eq!(
            judge(Unit::Nanoseconds, &times(0.98), &THIS).verdict,
            Verdict::Within
        );
    }

    #[test]
    fn three_percent_are_allowed_beyond_the_spread_alone() {
        assert_eq!(Verdict::of(1.05, [0.98, 1.02]), Verdict::Within);
        assert_eq!(Verdict::of(1.06, [0.98, 1.02]), Verdict::Slower);
        assert_eq!(Verdict::of(0.94, [0.98, 1.02]), Verdict::Faster);
    }

    #[test]
    fn a_second_pass_that_is_always_faster_is_spread() {
        let again = THIS.map(|figure| figure / 1.2);
        let compared = judge(Unit::Nanoseconds, &times(0.9), &again);
        assert!(1.15 < compared.itself[1], "{compared:?}");
        assert_eq!(compared.verdict, Verdict::Within, "{compared:?}");
    }

    #[test]
    fn a_wide_spread_hides_a_difference() {
        let again = [140.0, 70.0, 135.0, 68.0, 130.0];
        let compared = judge(Unit::Nanoseconds, &times(0.9), &again);
        assert_eq!(compared.verdict, Verdict::Within, "{compared:?}");
    }

    #[test]
    fn fewer_per_second_is_slower() {
        let compared = judge(Unit::PerSecond, &times(1.25), &AGAIN);
        assert_eq!(compared.ratio, 1.25);
        assert_eq!(compared.verdict, Verdict::Slower);
    }

    #[test]
    fn equal_figures_give_equal_verdicts() {
        let [one, two] = [(); 2].map(|()| judge(Unit::Nanoseconds, &times(0.95), &AGAIN));
        assert_eq!(one.itself, two.itself);
        assert_eq!(one.verdict, two.verdict);
    }
}
