//! The hit ratio that a pool would have with another capacity.
//!
//! Stores of names alone (ghosts) with the policy of the real ones see a sample of the
//! keys, and have a part of their size: a miniature simulation (Waldspurger et al.,
//! USENIX ATC'17). All ghosts see the same sample, so its noise is on both sides of a
//! difference between two of them. The ghost of the real size shows the error.

use crate::local::ghost::Ghost;

/// The sizes that are simulated, relative to the capacity.
const SIZES: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// The ghost of the real size has at least so many entries, and less than twice as
/// many.
const ENTRIES: u64 = 512;

/// A ghost with fewer entries is left out.
const MIN_ENTRIES: f64 = 128.0;

/// At least one of two to this power of all keys is passed over.
const MIN_HALVINGS: u32 = 3;

/// The first bit of a hash that chooses the sample; it serves neither the choice of
/// the shard nor the search in it.
const FIRST_BIT: u32 = 40;

/// The ghosts of one pool.
#[derive(Default)]
pub(super) struct Ghosts {
    /// One key of two to this power is sampled.
    halvings: u32,
    /// The capacity of the real pool.
    capacity: u64,
    /// The entries of the real pool when these ghosts began.
    entries: u64,
    /// By size.
    ghosts: Vec<(f64, Ghost)>,
    sampled: u64,
    /// Reads of the sampled and of all other keys that the pool could not serve.
    misses: u64,
    /// The hits that were counted when these ghosts began.
    hits_before: u64,
}

/// The hit ratio of a pool, and that of pools of other sizes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    pub(crate) capacity: u64,
    /// Counted; the others are estimates.
    pub(crate) hit_ratio: f64,
    pub(crate) reads: u64,
    pub(crate) sampled: u64,
    /// Sizes relative to the capacity, with their hit ratios.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Ghosts {
    /// Returns the bits of a sampled key's hash that are zero.
    pub(super) fn mask(&self) -> u64 {
        ((1 << self.halvings.max(MIN_HALVINGS)) - 1) << FIRST_BIT
    }

    /// Adapts the sample to a pool that has so many entries and this capacity. `hits`
    /// returns those counted so far.
    pub(super) fn fit(&mut self, entries: u64, capacity: u64, hits: impl FnOnce() -> u64) {
        let wanted = (entries / ENTRIES).checked_ilog2().unwrap_or(0);
        let wanted = wanted.max(MIN_HALVINGS);
        let fits = wanted == self.halvings || wanted + 1 == self.halvings;
        // The number of evicted names that they remember is set at the beginning.
        let has_grown = 2 * self.entries < entries;
        if !fits || has_grown || self.ghosts.is_empty() {
            self.halvings = wanted;
            self.entries = entries;
            self.capacity = capacity;
            let ghosts = SIZES.map(|size| {
                let names = (entries >> wanted) as f64 * size * 3.0 / 2.0;
                (size, Ghost::new(self.bytes(size), names as usize))
            });
            self.ghosts = ghosts.into();
            (self.sampled, self.misses, self.hits_before) = (0, 0, hits());
        } else if capacity.abs_diff(self.capacity) > self.capacity / 32 {
            // The border between the pools has moved.
            self.capacity = capacity;
            for at in 0..self.ghosts.len() {
                let bytes = self.bytes(self.ghosts[at].0);
                self.ghosts[at].1.set_capacity(bytes);
            }
        }
    }

    /// Returns the capacity of a ghost.
    fn bytes(&self, size: f64) -> u64 {
        let sample = self.capacity >> self.halvings;
        (sample as f64 * size) as u64
    }

    /// Records a read of a sampled key.
    pub(super) fn read(&mut self, hash: u64, bytes: u64) {
        self.sampled += 1;
        for (_, ghost) in &mut self.ghosts {
            ghost.read(hash, bytes);
        }
    }

    /// Records that the pool could not serve a read of any key.
    pub(super) fn missed(&mut self) {
        self.misses += 1;
    }

    /// Returns the curve; `None` before the first read. `hits` are those counted so
    /// far, and `entries` those that the pool has.
    pub(super) fn curve(&self, entries: u64, hits: u64) -> Option<Curve> {
        let hits = hits.saturating_sub(self.hits_before);
        let reads = hits + self.misses;
        if reads == 0 {
            return None;
        }
        let expected = reads as f64 / f64::from(1_u32 << self.halvings);
        let points = self.ghosts.iter().filter_map(|(size, ghost)| {
            let held = (entries >> self.halvings) as f64 * size;
            // The sample may have too many reads or too few: those of a hot key.
            let ratio = (ghost.hits() as f64 + expected - self.sampled as f64) / expected;
            (MIN_ENTRIES <= held).then_some((*size, ratio.clamp(0.0, 1.0)))
        });
        Some(Curve {
            capacity: self.capacity,
            hit_ratio: hits as f64 / reads as f64,
            reads,
            sampled: self.sampled,
            points: points.collect(),
        })
    }
}
