//! States that differ only in the names of stamps and tokens, or in the numbers
//! of readers, are the same.

use std::cmp::Ordering;

use super::{Dependency, Query, Reader, ReaderStage, RowStage, State};

/// New names, in the order of their first use.
#[derive(Default)]
struct Names {
    new: [u8; 16],
    count: u8,
}

impl Names {
    fn of(&mut self, name: &mut u8) {
        if *name == 0 {
            return;
        }
        let new = &mut self.new[usize::from(*name)];
        if *new == 0 {
            self.count += 1;
            *new = self.count;
        }
        *name = *new;
    }

    fn of_query(&mut self, query: &mut Query) {
        match query {
            Query::Absent => {}
            Query::Lease(token) => self.of(token),
            Query::Value(value) => value.stamps.iter_mut().for_each(|stamp| self.of(stamp)),
        }
    }
}

impl State {
    /// The state under new names; the first `alike` readers may change places.
    pub(super) fn renamed(mut self, alike: usize) -> Self {
        let mut names = Names::default();
        for dependency in &mut self.dependencies {
            match dependency {
                Dependency::Lease { stamp } | Dependency::Mark { stamp, .. } => names.of(stamp),
                Dependency::Absent | Dependency::Quarantine { .. } => {}
            }
        }
        names.of_query(&mut self.query);
        for reader in self.readers.iter_mut().filter(|reader| reader.is_reading()) {
            match &mut reader.seen {
                // Whose lease it was does not matter.
                Query::Lease(token) => *token = 0,
                seen => names.of_query(seen),
            }
            names.of(&mut reader.token);
            reader.stamps.iter_mut().for_each(|stamp| names.of(stamp));
        }
        for row in &mut self.row_readers {
            if row.stage == RowStage::Leased {
                names.of(&mut row.token);
            }
        }
        if let Some(stalled) = &mut self.stalled {
            names.of(&mut stalled.stamp);
        }
        self.readers[..alike].sort_by(in_order);
        self
    }
}

/// Any order will do.
fn in_order(one: &Reader, other: &Reader) -> Ordering {
    let of_stage = |stage: ReaderStage| match stage {
        ReaderStage::Missed => 0,
        ReaderStage::Done => 1,
        ReaderStage::Filling => 2,
        ReaderStage::First => 3,
        ReaderStage::Second => 4,
        ReaderStage::Third => 5,
        ReaderStage::Loaded => 6,
        ReaderStage::Idle => 7,
        ReaderStage::Stamping => 8,
    };
    let of_query = |query: Query| match query {
        Query::Lease(_) => (0, [0; 2], [0; 2], 0),
        Query::Value(value) => (1, value.versions, value.stamps, value.epoch),
        Query::Absent => (2, [0; 2], [0; 2], 0),
    };
    let key = |reader: &Reader| {
        let loaded = (reader.loaded.is_none(), reader.loaded);
        (
            of_stage(reader.stage),
            reader.epoch,
            reader.floor,
            reader.token,
            of_query(reader.seen),
            reader.stamps,
            loaded,
        )
    };
    key(one).cmp(&key(other))
}
