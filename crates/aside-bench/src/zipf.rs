//! The keys that a workload requests: few of them most of the time.

/// The constant of YCSB.
const SKEW: f64 = 0.99;

/// A Zipfian distribution over ranks: rank `r` is drawn with a probability
/// proportional to `1 / (r + 1)^0.99`, as YCSB's `zipfian` does (Cooper et al.,
/// "Benchmarking Cloud Serving Systems with YCSB", 2010). Drawn from a table of
/// its sums, which is exact.
pub(crate) struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    pub(crate) fn over(count: u64) -> Self {
        Self::skewed(count, SKEW)
    }

    /// Returns the same with another exponent.
    pub(crate) fn skewed(count: u64, skew: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=count).map(|rank| {
            sum += (rank as f64).powf(-skew);
            sum
        });
        Self {
            sums: sums.collect(),
        }
    }

    /// Draws a rank; zero is the most frequent.
    pub(crate) fn draw(&self, random: &mut fastrand::Rng) -> u64 {
        let total = self.sums.last().copied().unwrap_or_default();
        let drawn = random.f64() * total;
        self.sums.partition_point(|sum| *sum <= drawn) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ranks_follow_the_distribution() {
        let zipf = Zipf::over(1_000);
        let mut random = fastrand::Rng::with_seed(1);
        let mut drawn = vec![0_u32; 1_000];
        for _ in 0..200_000 {
            drawn[zipf.draw(&mut random) as usize] += 1;
        }
        // 1 / (the sum over 1,000 ranks), and half of that.
        let part = |rank: usize| f64::from(drawn[rank]) / 200_000.0;
        assert!((0.124..0.136).contains(&part(0)), "{}", part(0));
        assert!((0.062..0.069).contains(&part(1)), "{}", part(1));
        assert!(drawn.iter().filter(|count| **count > 0).count() > 990);
    }
}
