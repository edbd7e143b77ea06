//! The slots of a cluster, in blocks that have one owner each.
//!
//! A world uses about ten keys. So each slot of such a key is one block, and the
//! slots between two of them are another.

use std::ops::RangeInclusive;

use aside_redis::cluster::{SLOTS, slot_of};

use crate::entity::key::Key;
use crate::entity::namespace::Namespace;
use crate::simulation::hero::KEYS;
use crate::tiers;

/// A set of blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks(u64);

impl Blocks {
    pub(super) fn with(self, block: usize) -> Self {
        Self(self.0 | 1 << block)
    }

    pub(super) fn has(self, block: usize) -> bool {
        self.0 & 1 << block != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |block| self.has(*block))
    }
}

/// The blocks of a world.
pub(in super::super) struct Layout {
    /// The first slot of each block.
    firsts: Vec<u16>,
    /// The keys of rows, lists and epochs.
    keys: Vec<Key>,
}

impl Layout {
    /// Creates the blocks of a cluster that begins with this many primaries.
    pub(super) fn new(primaries: usize) -> Self {
        let rows = KEYS.into_iter().map(Key::new);
        let keys: Vec<Key> = rows.chain(tiers::epoch_keys(Namespace(""), true)).collect();
        let used = keys.iter().map(|key| slot_of(key.as_str().as_bytes()));
        let used = used.flat_map(|slot| [slot, slot + 1]);
        let borders = (0..primaries).map(|primary| border(primary, primaries));
        let mut firsts: Vec<u16> = used.chain(borders).filter(|slot| *slot < SLOTS).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert!(firsts.len() <= 64, "too many blocks for a set");
        Self { firsts, keys }
    }

    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Returns the block of a slot.
    pub(super) fn block_of(&self, slot: u16) -> usize {
        self.firsts.partition_point(|first| *first <= slot) - 1
    }

    /// Returns the first slot of a block.
    pub(super) fn first(&self, block: usize) -> u16 {
        self.firsts[block]
    }

    /// Returns the owner of a block at the beginning.
    pub(super) fn first_owner(&self, block: usize, primaries: usize) -> usize {
        let later = (1..primaries).take_while(|it| border(*it, primaries) <= self.firsts[block]);
        later.count()
    }

    /// Returns the blocks with keys of the world.
    pub(in super::super) fn used(&self) -> Vec<usize> {
        let block = |key: &Key| self.block_of(slot_of(key.as_str().as_bytes()));
        self.keys.iter().map(block).collect()
    }

    /// Returns the keys of the world in a block.
    pub(in super::super) fn keys_in(&self, block: usize) -> impl Iterator<Item = &Key> {
        let slot = |key: &Key| slot_of(key.as_str().as_bytes());
        let keys = self.keys.iter();
        keys.filter(move |key| self.block_of(slot(key)) == block)
    }

    /// Returns the slots of some blocks.
    pub(super) fn slots(&self, blocks: Blocks) -> Vec<RangeInclusive<u16>> {
        let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
        for block in blocks.iter() {
            let next = self.firsts.get(block + 1).copied().unwrap_or(SLOTS);
            let (first, last) = (self.firsts[block], next - 1);
            match ranges.last_mut() {
                Some(before) if before.end() + 1 == first => *before = *before.start()..=last,
                _ => ranges.push(first..=last),
            }
        }
        ranges
    }
}

fn border(primary: usize, primaries: usize) -> u16 {
    let slot = usize::from(SLOTS) * primary / primaries;
    u16::try_from(slot).expect("a slot")
}
