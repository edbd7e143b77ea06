//! HeavyKeeper: the counts of the most frequent items of a stream, in 16 KiB (Yang et
//! al., USENIX ATC 2018).
//!
//! Two rows of buckets, each with a fingerprint and a count. An item that finds another's
//! fingerprint decays that count by one with a probability of 1.08 to the power of minus
//! the count, and takes over a bucket that reaches zero. So rare items leave, and a
//! frequent one is almost never decayed. Space-Saving was refused: each rare item raises
//! its smallest count, so with as many bytes it finds fewer of the frequent ones.

/// Buckets per row.
const WIDTH: usize = 1024;

const DECAY: f64 = 1.08;

/// Above this count a bucket is never decayed: the probability is below 10^-8.
const MAX_DECAYED: u32 = 250;

#[derive(Clone, Copy, Default)]
struct Bucket {
    fingerprint: u32,
    count: u32,
}

/// Counts of items by their hashes.
pub(super) struct HeavyKeeper {
    rows: [Vec<Bucket>; 2],
    /// Of a fixed seed, so that equal streams have equal counts.
    random: fastrand::Rng,
}

impl HeavyKeeper {
    pub(super) fn new() -> Self {
        Self {
            rows: std::array::from_fn(|_| vec![Bucket::default(); WIDTH]),
            random: fastrand::Rng::with_seed(0),
        }
    }

    /// Counts an item, and returns its estimated count.
    ///
    /// An item that is not among the most frequent, of which the last has a count of
    /// `least`, cannot have a larger count than that one: another item has the same
    /// fingerprint, and is not counted for it.
    pub(super) fn count(&mut self, hash: u64, is_known: bool, least: u32) -> u32 {
        let fingerprint = (hash >> 32) as u32;
        let mut estimate = 0;
        for (row, shift) in self.rows.iter_mut().zip([0, 10]) {
            let bucket = &mut row[(hash >> shift) as usize % WIDTH];
            if bucket.count > 0 && bucket.fingerprint == fingerprint {
                if is_known || bucket.count <= least {
                    bucket.count += 1;
                    estimate = estimate.max(bucket.count);
                }
                continue;
            }
            if bucket.count > 0 && decays(&mut self.random, bucket.count) {
                bucket.count -= 1;
            }
            if bucket.count == 0 {
                let count = 1;
                *bucket = Bucket { fingerprint, count };
                estimate = estimate.max(count);
            }
        }
        estimate
    }

    /// Halves all counts.
    pub(super) fn halve(&mut self) {
        for bucket in self.rows.iter_mut().flatten() {
            bucket.count /= 2;
        }
    }
}

fn decays(random: &mut fastrand::Rng, count: u32) -> bool {
    count <= MAX_DECAYED && random.f64() < DECAY.powf(-f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::key;

    #[test]
    fn frequent_items_keep_their_counts_among_many_rare_ones() {
        let mut keeper = HeavyKeeper::new();
        let mut random = fastrand::Rng::with_seed(7);
        let mut last = [0; 10];
        for round in 0..1_000_u64 {
            for (item, last) in last.iter_mut().enumerate() {
                let hash = key::hash(&format!("hot:{item}"));
                *last = keeper.count(hash, true, 0);
            }
            for _ in 0..100 {
                let rare = key::hash(&format!("rare:{round}:{}", random.u64(..)));
                keeper.count(rare, false, 5);
            }
        }
        for count in last {
            assert!((900..=1_000).contains(&count), "{count}");
        }
    }

    #[test]
    fn a_frequent_item_takes_over_the_buckets_of_rare_ones() {
        let mut keeper = HeavyKeeper::new();
        for rare in 0..20_000 {
            keeper.count(key::hash(&format!("rare:{rare}")), false, u32::MAX);
        }
        let count = |keeper: &mut HeavyKeeper, item: u64| {
            let hash = key::hash(&format!("new:{item}"));
            (0..1_000).fold(0, |_, _| keeper.count(hash, false, u32::MAX))
        };
        let least = (0..50).map(|item| count(&mut keeper, item)).min();
        assert!(least >= Some(900), "{least:?}");
    }

    #[test]
    fn halved_counts_are_taken_over_by_later_items() {
        let mut keeper = HeavyKeeper::new();
        let (old, new) = (key::hash("old"), key::hash("new"));
        (0..40).for_each(|_| _ = keeper.count(old, true, 0));
        (0..6).for_each(|_| keeper.halve());
        assert_eq!(keeper.count(old, true, 0), 1, "40 halved six times is none");
        (0..5).for_each(|_| _ = keeper.count(new, true, 0));
        assert_eq!(keeper.count(new, true, 0), 6);
    }
}
