//! Rows of the journal that this instance's own writes put there.
//!
//! A write of a whole kind forgets it before its commit and after it, and
//! leaves a row for the case that it dies in between. Worked off like any
//! other, that row would make the kind cold a third time, so the instance
//! passes its own rows by while their writes are under way, and deletes them
//! when these have done what the rows ask for.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Ids of such rows.
#[derive(Debug, Default)]
pub(crate) struct Journalled {
    rows: Mutex<Rows>,
    done: Notify,
}

#[derive(Debug, Default)]
struct Rows {
    under_way: HashSet<i64>,
    done: Vec<i64>,
}

impl Journalled {
    /// A write has stored these rows, in a transaction that is not over.
    pub(crate) fn begin(&self, ids: &[i64]) {
        self.rows.lock().under_way.extend(ids);
    }

    /// What they ask for has been done.
    pub(crate) fn done(&self, ids: &[i64]) {
        let mut rows = self.rows.lock();
        for id in ids {
            if rows.under_way.remove(id) {
                rows.done.push(*id);
            }
        }
        drop(rows);
        self.done.notify_one();
    }

    /// What they ask for is left to whoever reads them.
    pub(crate) fn leave(&self, ids: &[i64]) {
        let mut rows = self.rows.lock();
        for id in ids {
            rows.under_way.remove(id);
        }
    }

    pub(crate) fn is_under_way(&self, id: i64) -> bool {
        self.rows.lock().under_way.contains(&id)
    }

    /// Rows to be deleted, each once.
    pub(crate) fn take_done(&self) -> Vec<i64> {
        std::mem::take(&mut self.rows.lock().done)
    }

    /// Waits for rows to be deleted.
    pub(crate) async fn wait(&self) {
        self.done.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_passed_by_until_its_write_is_over_and_deleted_only_if_it_did_what_it_asks() {
        let journalled = Journalled::default();
        journalled.begin(&[1, 2]);
        assert!(journalled.is_under_way(1) && journalled.is_under_way(2));
        journalled.done(&[1]);
        journalled.leave(&[2]);
        assert!(!journalled.is_under_way(1) && !journalled.is_under_way(2));
        assert_eq!(journalled.take_done(), [1]);
        assert!(journalled.take_done().is_empty());
    }

    #[test]
    fn a_row_that_was_left_to_others_is_not_deleted_afterwards() {
        let journalled = Journalled::default();
        journalled.begin(&[1]);
        journalled.leave(&[1]);
        journalled.done(&[1]);
        assert!(journalled.take_done().is_empty());
    }
}
