//! Journal rows of this instance's own writes.
//!
//! A write of a whole kind invalidates it before and after its commit, and
//! leaves a journal row in case the process crashes in between. Applied like
//! any other, that row would empty the kind's cache a third time. So the
//! instance skips its own rows while their writes are in progress, and deletes
//! them once the writes have invalidated the kind.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::tiers::acknowledgement::Acknowledgement;

/// The ids of such rows.
#[derive(Debug, Default)]
pub(crate) struct Journalled {
    rows: Mutex<Rows>,
    done: Notify,
}

#[derive(Debug, Default)]
struct Rows {
    under_way: HashSet<i64>,
    done: Vec<(i64, Acknowledgement)>,
}

impl Journalled {
    /// Records rows of a write whose transaction is in progress.
    pub(crate) fn begin(&self, ids: &[i64]) {
        self.rows.lock().under_way.extend(ids);
    }

    /// Records that their servers have acknowledged the rows.
    pub(crate) fn done(&self, ids: &[i64], by: &Acknowledgement) {
        let mut rows = self.rows.lock();
        for id in ids {
            if rows.under_way.remove(id) {
                rows.done.push((*id, by.clone()));
            }
        }
        drop(rows);
        self.done.notify_one();
    }

    /// Leaves the rows to be applied like any other.
    pub(crate) fn leave(&self, ids: &[i64]) {
        let mut rows = self.rows.lock();
        for id in ids {
            rows.under_way.remove(id);
        }
    }

    pub(crate) fn is_under_way(&self, id: i64) -> bool {
        self.rows.lock().under_way.contains(&id)
    }

    /// Returns the rows to delete, each once.
    pub(crate) fn take_done(&self) -> Vec<(i64, Acknowledgement)> {
        std::mem::take(&mut self.rows.lock().done)
    }

    /// Waits for rows to delete.
    pub(crate) async fn wait(&self) {
        self.done.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_journal_rows_are_skipped_until_done_then_deleted() {
        let journalled = Journalled::default();
        journalled.begin(&[1, 2]);
        assert!(journalled.is_under_way(1) && journalled.is_under_way(2));
        journalled.done(&[1], &Acknowledgement::of_nothing());
        journalled.leave(&[2]);
        assert!(!journalled.is_under_way(1) && !journalled.is_under_way(2));
        let done = journalled.take_done();
        assert!(matches!(done[..], [(1, _)]), "{done:?}");
        assert!(journalled.take_done().is_empty());
    }

    #[test]
    fn a_row_left_to_be_applied_is_not_deleted() {
        let journalled = Journalled::default();
        journalled.begin(&[1]);
        journalled.leave(&[1]);
        journalled.done(&[1], &Acknowledgement::of_nothing());
        assert!(journalled.take_done().is_empty());
    }
}
