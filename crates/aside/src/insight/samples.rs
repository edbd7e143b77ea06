//! Samples of reads: which keys are read, in which tier, and how old their values are.
//!
//! The number that a read's counter reaches decides whether the read is drawn: its
//! multiple of the golden ratio, modulo 2^64, is uniformly distributed (Weyl; Knuth's
//! multiplicative hashing). So an ordinary hit pays one multiplication and one
//! comparison, without a state beside the counter. To draw every 64th read was refused:
//! a loop over 64 keys would meet the same key each time. So was a random number: it
//! costs more than the rest of the draw.
//!
//! A drawn read goes into the buffer of its thread's counter block, which a task empties
//! every 100 ms. A full buffer drops it and counts that. A hit leaves only the hash of
//! its local entry, and the task asks the entry for its name. So no hit allocates.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::answer::Tier;
use crate::insight::counters::{BLOCKS, own_block};
use crate::runtime::clock::Moment;

/// One of so many reads is drawn, as a power of two.
const HALVINGS: u32 = 6;

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The samples of one counter block between two visits of the task: at one of 64, those
/// of 164,000 reads a second.
const SLOTS: usize = 256;

/// Returns true if the read that made its counter reach this number is drawn.
#[inline(always)]
pub(super) fn is_drawn(number: u64) -> bool {
    number.wrapping_mul(GOLDEN) >> (u64::BITS - HALVINGS) == 0
}

/// The copy that a read returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub(crate) tier: Tier,
    /// When it was loaded from the database, in Unix milliseconds.
    pub(crate) loaded_at: i64,
}

/// What tells the key of a sample.
#[derive(Debug)]
pub(crate) enum SampledName {
    /// The hash by which the local tier has its entry.
    Local(u64),
    /// The text of the key after its kind.
    Text(String),
}

/// A drawn read.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) kind: &'static str,
    pub(crate) name: SampledName,
    pub(crate) served: Served,
    /// When it was read.
    pub(crate) at: Moment,
}

/// The samples that nothing has taken yet.
pub(crate) struct Samples {
    buffers: [Buffer; BLOCKS],
    /// Takes the place of the buffer that is emptied.
    spare: Mutex<Vec<Sample>>,
    taken: AtomicU64,
}

/// Two cache lines, because processors fetch them in pairs.
#[repr(align(128))]
struct Buffer {
    samples: Mutex<Vec<Sample>>,
    /// Those without room. In each block, because threads that read as fast as they can
    /// drop most of theirs.
    dropped: AtomicU64,
}

impl Samples {
    pub(crate) fn new() -> Self {
        let room = || Mutex::new(Vec::with_capacity(SLOTS));
        Self {
            buffers: std::array::from_fn(|_| Buffer {
                samples: room(),
                dropped: AtomicU64::new(0),
            }),
            spare: room(),
            taken: AtomicU64::new(0),
        }
    }

    /// Keeps the drawn read that `make` returns, or drops it if there is no room. Waits
    /// for nothing. A dropped read is not made.
    pub(crate) fn push(&self, make: impl FnOnce() -> Sample) {
        let buffer = &self.buffers[own_block()];
        // Taken only by the task, for a swap, or by a thread of the shared block.
        let samples = buffer.samples.try_lock();
        match samples.filter(|samples| samples.len() < SLOTS) {
            Some(mut samples) => samples.push(make()),
            None => _ = buffer.dropped.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Passes the samples to `hear`, and forgets them.
    pub(crate) fn take(&self, mut hear: impl FnMut(Sample)) {
        let mut spare = self.spare.lock();
        for buffer in &self.buffers {
            mem::swap(&mut *spare, &mut *buffer.samples.lock());
            self.taken.fetch_add(spare.len() as u64, Ordering::Relaxed);
            spare.drain(..).for_each(&mut hear);
        }
    }

    /// Returns how many samples were taken, and how many dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let dropped = self.buffers.iter().map(|buffer| load(&buffer.dropped));
        (load(&self.taken), dropped.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: u64) -> Sample {
        Sample {
            kind: "hero",
            name: SampledName::Local(number),
            served: Served {
                tier: Tier::Local,
                loaded_at: 0,
            },
            at: Moment::NEVER,
        }
    }

    #[test]
    fn one_of_64_numbers_is_drawn_in_any_short_run() {
        for begin in (0..1_000_000).step_by(6_400) {
            let drawn = (begin..begin + 6_400).filter(|number| is_drawn(*number));
            let drawn = drawn.count();
            assert!((98..=102).contains(&drawn), "{drawn} from {begin}");
        }
    }

    #[test]
    fn a_loop_of_any_length_has_each_of_its_keys_drawn() {
        for length in [2, 3, 10, 64, 100, 128] {
            let mut drawn = vec![0; length];
            for number in (0..640_000_u64).filter(|number| is_drawn(*number)) {
                drawn[number as usize % length] += 1;
            }
            let expected = 10_000 / length;
            let (least, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
            assert!(*most <= expected + expected / 5 + 2, "{length}: {most}");
            assert!(expected <= least + expected / 5 + 2, "{length}: {least}");
        }
    }

    #[test]
    fn samples_beyond_the_slots_are_dropped_and_counted() {
        let samples = Samples::new();
        for round in 1..=2 {
            (0..SLOTS as u64 + 5).for_each(|number| samples.push(|| sample(number)));
            let mut heard = 0;
            samples.take(|_| heard += 1);
            assert_eq!(heard, SLOTS);
            assert_eq!(samples.counts(), (round * SLOTS as u64, round * 5));
        }
    }

    #[test]
    fn samples_of_any_number_of_threads_are_kept_or_counted() {
        let samples = Samples::new();
        std::thread::scope(|scope| {
            for _ in 0..2 * BLOCKS {
                scope.spawn(|| (0..100).for_each(|number| samples.push(|| sample(number))));
            }
            for _ in 0..20 {
                samples.take(|_| {});
            }
        });
        samples.take(|_| {});
        let (taken, dropped) = samples.counts();
        assert_eq!(taken + dropped, 2 * BLOCKS as u64 * 100);
        assert!(taken > 0);
    }
}
