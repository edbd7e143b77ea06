//! Striped counters: each thread increments its own block, so threads never
//! contend.
//!
//! An increment is then a load and a store. An atomic read-modify-write costs
//! as much as the lookup of a hit.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The last block is shared by the threads that found all others taken.
pub(super) const BLOCKS: usize = 32;

const SHARED: usize = BLOCKS - 1;

const NONE_YET: usize = usize::MAX;

/// `N` counters.
pub(crate) struct Counters<const N: usize> {
    blocks: [Block<N>; BLOCKS],
}

/// Two cache lines, because processors fetch them in pairs.
#[repr(align(128))]
struct Block<const N: usize>([AtomicU64; N]);

/// The blocks owned by living threads, one bit each.
static TAKEN: Mutex<u32> = Mutex::new(1 << SHARED);

thread_local! {
    // Has no destructor, so that reading it is one load.
    static OWN: Cell<usize> = const { Cell::new(NONE_YET) };
    static LEASE: Lease = Lease::take();
}

/// A thread's ownership of its block.
struct Lease(usize);

impl Lease {
    fn take() -> Self {
        let mut taken = TAKEN.lock();
        let free = taken.trailing_ones() as usize;
        let own = free.min(SHARED);
        *taken |= 1 << own;
        Self(own)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Other destructors of this thread may still count.
        OWN.set(SHARED);
        if self.0 != SHARED {
            *TAKEN.lock() &= !(1 << self.0);
        }
    }
}

/// Returns the index of this thread's block.
#[inline]
pub(super) fn own_block() -> usize {
    match OWN.get() {
        NONE_YET => take_block(),
        own => own,
    }
}

#[cold]
fn take_block() -> usize {
    // A thread that is ending owns no block.
    let own = LEASE.try_with(|lease| lease.0).unwrap_or(SHARED);
    OWN.set(own);
    own
}

impl<const N: usize> Counters<N> {
    pub(crate) fn new() -> Self {
        let zeros = |_| Block(std::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            blocks: std::array::from_fn(zeros),
        }
    }

    /// Increments a counter, and returns its new value in this thread's block.
    #[inline]
    pub(crate) fn count(&self, which: usize) -> u64 {
        let own = own_block();
        let number = &self.blocks[own].0[which];
        if own == SHARED {
            return number.fetch_add(1, Ordering::Relaxed) + 1;
        }
        // Only this thread stores here: the lock on `TAKEN` orders it after the
        // block's previous owner.
        let new = number.load(Ordering::Relaxed) + 1;
        number.store(new, Ordering::Relaxed);
        new
    }

    pub(crate) fn total(&self, which: usize) -> u64 {
        let numbers = self.blocks.iter().map(|block| &block.0[which]);
        numbers.map(|number| number.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_when_threads_outnumber_blocks() {
        let counters = Counters::<2>::new();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..BLOCKS * 2 {
                    scope.spawn(|| {
                        for _ in 0..1_000 {
                            counters.count(1);
                        }
                    });
                }
            });
        }
        assert_eq!(counters.total(1), 3 * 2 * BLOCKS as u64 * 1_000);
        assert_eq!(counters.total(0), 0);
    }
}
