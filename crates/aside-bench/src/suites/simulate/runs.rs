//! A trace, cut into the runs of tasks.

use std::ops::Range;

use fastrand::Rng;

/// Cuts `requests` into consecutive runs of `mean` requests on average.
pub(super) fn cut(requests: usize, mean: usize, rng: &mut Rng) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut begin = 0;
    while begin < requests {
        let end = requests.min(begin + rng.usize(1..2 * mean.max(1)));
        runs.push(begin..end);
        begin = end;
    }
    runs
}

/// Shuffles the second half within blocks of `block` requests: from there on, requests
/// follow each other in no order that the first half had.
pub(super) fn shuffle_second_half(keys: &mut [u64], block: usize, rng: &mut Rng) {
    let half = keys.len() / 2;
    for block in keys[half..].chunks_mut(block.max(1)) {
        rng.shuffle(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_every_request_once() {
        let mut rng = Rng::with_seed(1);
        let runs = cut(100_000, 50, &mut rng);
        let ends: Vec<usize> = runs.iter().map(|run| run.end).collect();
        let begins = runs.iter().skip(1).map(|run| run.start);
        assert!(begins.eq(ends[..ends.len() - 1].iter().copied()));
        assert_eq!((runs[0].start, ends[ends.len() - 1]), (0, 100_000));
        let mean = 100_000 / runs.len();
        assert!((48..=52).contains(&mean), "{mean}");
    }

    #[test]
    fn only_the_second_half_is_shuffled_within_its_blocks() {
        let mut keys: Vec<u64> = (0..4_000).collect();
        shuffle_second_half(&mut keys, 100, &mut Rng::with_seed(1));
        assert!(keys[..2_000].is_sorted());
        for (number, block) in keys.chunks(100).enumerate().skip(20) {
            assert!(!block.is_sorted());
            assert!(block.iter().all(|key| *key as usize / 100 == number));
        }
    }
}
