//! The last list of a context, whose rows its reader may go through one by one.

use std::sync::Arc;

use super::associations::Name;
use crate::entity::following::Followed;

/// Returns the keys that the rows of a list name, as long as the list is in use.
pub(crate) type Rest = Arc<dyn Fn() -> Vec<Followed> + Send + Sync>;

/// The number of keys of one association after which those of all other rows are
/// fetched. One may be an accident.
const READ_TWICE: usize = 2;

/// A key that one of the first rows of a list names.
struct First {
    name: Name,
    hash: u64,
    was_read: bool,
}

pub(super) struct LastList {
    first: Vec<First>,
    rest: Rest,
}

impl LastList {
    pub(super) fn new(first: impl IntoIterator<Item = (Name, u64)>, rest: Rest) -> Self {
        let first = first.into_iter().map(|(name, hash)| First {
            name,
            hash,
            was_read: false,
        });
        Self {
            first: first.collect(),
            rest,
        }
    }

    /// Records that a key of this kind was read. Returns its association if the keys of
    /// all other rows are likely to be read now.
    pub(super) fn read(&mut self, kind: u8, hash: u64) -> Option<(Name, Rest)> {
        let is_read = |first: &&mut First| first.name.to == kind && first.hash == hash;
        let found = self.first.iter_mut().find(is_read)?;
        if std::mem::replace(&mut found.was_read, true) {
            return None;
        }
        let name = found.name.clone();
        let same = self
            .first
            .iter()
            .filter(|it| it.was_read && it.name == name);
        (same.count() == READ_TWICE).then(|| (name, Arc::clone(&self.rest)))
    }
}
