//! The packed form of a local entry.
//!
//! Every hit reads all validity fields, so they should fit in few CPU cache
//! lines; and every byte saved per entry is a megabyte per million entries. So
//! each number has only the bytes it normally needs. A number that does not fit
//! makes the entry less useful, never wrong: it expires early, or is not
//! served.

use std::sync::Arc;

use super::Entry;
use crate::entity::Rows;
use crate::entity::lookup::Found;
use crate::runtime::clock::Moment;
use crate::trust::generations::Stamp;

/// An entry in 48 bytes.
pub(crate) enum PackedEntry<E> {
    Row(Option<Arc<E>>, Packed),
    /// Boxed, because a pointer to a slice is twice as large.
    List(Box<Rows<E>>, Packed),
}

/// The validity fields and metadata of an entry.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    stamp: Stamp,
    /// In milliseconds; as wide as in the header of a value.
    epoch: PackedInt<6>,
    /// In milliseconds since boot: 34 years.
    deadline: PackedInt<5>,
    /// In units of 16 bytes, the allocator's granularity: up to 256 MiB.
    payload: PackedInt<3>,
    /// In Unix milliseconds.
    loaded_at: PackedInt<6>,
    fill: PackedInt<6>,
}

const PAYLOAD_UNIT: u64 = 16;

/// An unaligned number of `BYTES` bytes.
#[derive(Clone, Copy)]
struct PackedInt<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> PackedInt<BYTES> {
    const MAX: u64 = u64::MAX >> (64 - 8 * BYTES);

    /// Packs the number, or the largest that fits.
    fn of(number: u64) -> Self {
        let bytes = number.min(Self::MAX).to_le_bytes();
        Self(std::array::from_fn(|at| bytes[at]))
    }

    #[inline]
    fn get(self) -> u64 {
        let mut bytes = [0; 8];
        bytes[..BYTES].copy_from_slice(&self.0);
        u64::from_le_bytes(bytes)
    }
}

impl<E> PackedEntry<E> {
    pub(super) fn new(entry: Entry<E>) -> Self {
        let packed = Packed {
            stamp: entry.stamp,
            epoch: PackedInt::of(entry.epoch),
            deadline: PackedInt::of(entry.deadline.millis()),
            payload: PackedInt::of(u64::from(entry.payload_bytes).div_ceil(PAYLOAD_UNIT)),
            loaded_at: PackedInt::of(u64::try_from(entry.loaded_at).unwrap_or(0)),
            fill: PackedInt::of(entry.fill),
        };
        match entry.found {
            Found::Row(row) => Self::Row(row, packed),
            Found::List(rows) => Self::List(Box::new(rows), packed),
        }
    }

    #[inline]
    fn packed(&self) -> &Packed {
        let (Self::Row(_, packed) | Self::List(_, packed)) = self;
        packed
    }

    /// Returns true if the entry is an absence.
    #[inline]
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Row(None, _))
    }

    /// Returns the row of a lookup by id.
    #[inline]
    pub(crate) fn row(&self) -> Option<Arc<E>> {
        match self {
            Self::Row(row, _) => row.clone(),
            Self::List(..) => unreachable!("a lookup of an id returns a row"),
        }
    }

    /// Returns the row of a lookup by id, for a caller that keeps no part of the entry.
    #[inline]
    pub(crate) fn row_ref(&self) -> Option<&E> {
        match self {
            Self::Row(row, _) => row.as_deref(),
            Self::List(..) => unreachable!("a lookup of an id returns a row"),
        }
    }

    /// Returns the id of its fill.
    #[inline]
    pub(crate) fn fill(&self) -> u64 {
        self.packed().fill.get()
    }

    /// Returns when it was loaded from the database, in Unix milliseconds.
    pub(crate) fn loaded_at(&self) -> i64 {
        self.packed().loaded_at.get().cast_signed()
    }

    #[inline]
    pub(super) fn stamp(&self) -> Stamp {
        self.packed().stamp
    }

    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.packed().epoch.get()
    }

    #[inline]
    pub(super) fn deadline(&self) -> Moment {
        Moment::from_millis(self.packed().deadline.get())
    }

    pub(super) fn payload_bytes(&self) -> u64 {
        self.packed().payload.get() * PAYLOAD_UNIT
    }

    /// Unpacks the entry.
    pub(crate) fn entry(&self) -> Entry<E> {
        Entry {
            found: match self {
                Self::Row(row, _) => Found::Row(row.clone()),
                Self::List(rows, _) => Found::List(Arc::clone(rows)),
            },
            stamp: self.stamp(),
            epoch: self.epoch(),
            deadline: self.deadline(),
            loaded_at: self.loaded_at(),
            fill: self.fill(),
            payload_bytes: u32::try_from(self.payload_bytes()).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::generations::Generations;

    fn kept(entry: impl FnOnce(Entry<u8>) -> Entry<u8>) -> PackedEntry<u8> {
        PackedEntry::new(entry(Entry {
            found: Found::Row(None),
            stamp: Generations::of_memory().stamp(7, 0),
            epoch: 1_800_000_000_000,
            deadline: Moment::from_millis(1 << 36),
            loaded_at: 1_800_000_000_001,
            fill: (1 << 48) - 2,
            payload_bytes: 32,
        }))
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_packed_entry_takes_48_bytes() {
        assert_eq!(size_of::<PackedEntry<String>>(), 48);
    }

    #[test]
    fn packing_an_entry_loses_nothing() {
        let entry = kept(|entry| entry).entry();
        assert_eq!(entry.stamp, Generations::of_memory().stamp(7, 0));
        assert_eq!(entry.epoch, 1_800_000_000_000);
        assert_eq!(entry.deadline, Moment::from_millis(1 << 36));
        assert_eq!(entry.loaded_at, 1_800_000_000_001);
        assert_eq!(entry.fill, (1 << 48) - 2);
        assert_eq!(entry.payload_bytes, 32);
    }

    #[test]
    fn numbers_that_do_not_fit_are_saturated() {
        let most = kept(|entry| Entry {
            epoch: u64::MAX,
            deadline: Moment::ALWAYS,
            payload_bytes: u32::MAX,
            ..entry
        });
        assert!(most.epoch() < u64::MAX && most.deadline() < Moment::ALWAYS);
        assert_eq!(most.payload_bytes(), (256 << 20) - 16);
        let little = kept(|entry| Entry {
            payload_bytes: 1,
            ..entry
        });
        assert_eq!(little.payload_bytes(), 16);
    }
}
