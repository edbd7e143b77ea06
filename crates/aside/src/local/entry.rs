//! The form in which an answer is kept in process.
//!
//! A hit reads all that it is judged by, and so the fewer lines of the
//! processor's cache that takes, the better; and what each of a million
//! entries could do without is a megabyte. So every number has only the bytes
//! that it can need, and where one does not fit after all, the entry is worth
//! less than it might be, and never more: it ends early, or is not served.

use std::sync::Arc;

use super::Entry;
use crate::entity::Rows;
use crate::entity::lookup::Found;
use crate::runtime::clock::Moment;
use crate::trust::generations::Stamp;

/// An answer, and what it takes to serve it again, in 48 bytes.
pub(crate) enum Kept<E> {
    Row(Option<Arc<E>>, Seal),
    /// Boxed, since a pointer to a slice is twice as large.
    List(Box<Rows<E>>, Seal),
}

/// What an answer is judged by, and what else is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Seal {
    stamp: Stamp,
    /// In milliseconds, as the header of a value has room for.
    epoch: Narrow<6>,
    /// In milliseconds since boot: 34 years.
    deadline: Narrow<5>,
    /// In units of 16 bytes, the allocator's own: 256 MiB.
    payload: Narrow<3>,
    /// In Unix milliseconds.
    loaded_at: Narrow<6>,
    fill: Narrow<8>,
}

const PAYLOAD_UNIT: u64 = 16;

/// A number of so many bytes, which may lie anywhere.
#[derive(Clone, Copy)]
struct Narrow<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> Narrow<BYTES> {
    const MOST: u64 = u64::MAX >> (64 - 8 * BYTES);

    /// The number, or the greatest that there is room for.
    fn of(number: u64) -> Self {
        let bytes = number.min(Self::MOST).to_le_bytes();
        Self(std::array::from_fn(|at| bytes[at]))
    }

    #[inline]
    fn get(self) -> u64 {
        let mut bytes = [0; 8];
        bytes[..BYTES].copy_from_slice(&self.0);
        u64::from_le_bytes(bytes)
    }
}

impl<E> Kept<E> {
    pub(super) fn new(entry: Entry<E>) -> Self {
        let seal = Seal {
            stamp: entry.stamp,
            epoch: Narrow::of(entry.epoch),
            deadline: Narrow::of(entry.deadline.millis()),
            payload: Narrow::of(u64::from(entry.payload_bytes).div_ceil(PAYLOAD_UNIT)),
            loaded_at: Narrow::of(u64::try_from(entry.loaded_at).unwrap_or(0)),
            fill: Narrow::of(entry.fill),
        };
        match entry.found {
            Found::Row(row) => Self::Row(row, seal),
            Found::List(rows) => Self::List(Box::new(rows), seal),
        }
    }

    #[inline]
    fn seal(&self) -> &Seal {
        let (Self::Row(_, seal) | Self::List(_, seal)) = self;
        seal
    }

    /// Whether the answer is that there is nothing.
    #[inline]
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Row(None, _))
    }

    /// The answer to a question about one id.
    #[inline]
    pub(crate) fn row(&self) -> Option<Arc<E>> {
        match self {
            Self::Row(row, _) => row.clone(),
            Self::List(..) => unreachable!("an id is answered by a row"),
        }
    }

    /// The fill it came from.
    #[inline]
    pub(crate) fn fill(&self) -> u64 {
        self.seal().fill.get()
    }

    /// When it was loaded from the database, in Unix milliseconds.
    pub(crate) fn loaded_at(&self) -> i64 {
        self.seal().loaded_at.get().cast_signed()
    }

    #[inline]
    pub(super) fn stamp(&self) -> Stamp {
        self.seal().stamp
    }

    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.seal().epoch.get()
    }

    #[inline]
    pub(super) fn deadline(&self) -> Moment {
        Moment::from_millis(self.seal().deadline.get())
    }

    pub(super) fn payload_bytes(&self) -> u64 {
        self.seal().payload.get() * PAYLOAD_UNIT
    }

    /// All of it, to go on with.
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
    use crate::trust::generations::Stripes;

    fn kept(entry: impl FnOnce(Entry<u8>) -> Entry<u8>) -> Kept<u8> {
        Kept::new(entry(Entry {
            found: Found::Row(None),
            stamp: Stripes::new().stamp(7),
            epoch: 1_800_000_000_000,
            deadline: Moment::from_millis(1 << 36),
            loaded_at: 1_800_000_000_001,
            fill: u64::MAX - 1,
            payload_bytes: 32,
        }))
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_answer_is_kept_in_48_bytes() {
        assert_eq!(size_of::<Kept<String>>(), 48);
    }

    #[test]
    fn what_is_known_of_an_answer_comes_back_as_it_went() {
        let entry = kept(|entry| entry).entry();
        assert_eq!(entry.stamp, Stripes::new().stamp(7));
        assert_eq!(entry.epoch, 1_800_000_000_000);
        assert_eq!(entry.deadline, Moment::from_millis(1 << 36));
        assert_eq!(entry.loaded_at, 1_800_000_000_001);
        assert_eq!(entry.fill, u64::MAX - 1);
        assert_eq!(entry.payload_bytes, 32);
    }

    #[test]
    fn what_has_no_room_makes_an_entry_end_early_and_weigh_what_it_may() {
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
