//! The hot sets in the database, beside the journal: an emptied Redis has none.
//!
//! A list is stored in parts, because a column of MySQL holds 64 KiB of text.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::insight::statistics::ServiceStatistics;
use crate::protocol::BoxFuture;

/// The maximum size of a part.
const MAX_PART_BYTES: usize = 60_000;

/// The error of a database.
pub(crate) type TableError = Box<dyn Error + Send + Sync>;

/// A journal that keeps hot sets, without its type.
pub(crate) trait HotTable: Send + Sync {
    /// Returns the parts of a kind's list, unless they are older than `max_age`.
    fn parts<'a>(
        &'a self,
        kind: &'a str,
        max_age: Duration,
    ) -> BoxFuture<'a, Result<Vec<String>, TableError>>;

    /// Replaces the parts of a kind's list.
    fn replace<'a>(
        &'a self,
        kind: &'a str,
        parts: &'a [String],
    ) -> BoxFuture<'a, Result<(), TableError>>;
}

/// The table of a service, as soon as a journal is polled.
pub(crate) struct HotTables {
    known: watch::Sender<Option<Arc<dyn HotTable>>>,
    statistics: Arc<ServiceStatistics>,
    /// How long a query may take.
    limit: Duration,
    failing: AtomicBool,
}

impl HotTables {
    pub(crate) fn new(statistics: Arc<ServiceStatistics>, limit: Duration) -> Self {
        Self {
            known: watch::Sender::new(None),
            statistics,
            limit,
            failing: AtomicBool::new(false),
        }
    }

    /// Keeps the lists in a table from now on.
    pub(crate) fn keep_in(&self, table: Arc<dyn HotTable>) {
        self.known.send_replace(Some(table));
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known.borrow().is_some()
    }

    /// Returns a future that waits until there is a table, and returns false if the
    /// service ended before. It does not keep the service.
    pub(crate) fn wait(&self) -> impl Future<Output = bool> + Send + use<> {
        let mut known = self.known.subscribe();
        async move { known.wait_for(Option::is_some).await.is_ok() }
    }

    /// Returns the lines of a kind's list; none without a table, or if it cannot be read.
    pub(crate) async fn read(&self, kind: &str, max_age: Duration) -> String {
        let Some(table) = self.known.borrow().clone() else {
            return String::new();
        };
        let parts = self.query(table.parts(kind, max_age)).await;
        parts.unwrap_or_default().concat()
    }

    /// Stores the lines of a kind's list.
    pub(crate) async fn write(&self, kind: &str, lines: &str) {
        let table = self.known.borrow().clone();
        if let Some(table) = table {
            self.query(table.replace(kind, &parts(lines))).await;
        }
    }

    /// Runs a query. A list is a wish: without one, a start is a cold one.
    async fn query<T>(&self, query: BoxFuture<'_, Result<T, TableError>>) -> Option<T> {
        let guarded = AssertUnwindSafe(query).catch_unwind();
        let error: TableError = match timeout(self.limit, guarded).await {
            Ok(Ok(Ok(done))) => {
                self.failing.store(false, Ordering::Relaxed);
                return Some(done);
            }
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) => "the journal panicked".into(),
            Err(late) => late.into(),
        };
        self.statistics.error("hot_set_table_unusable");
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = &*error as &dyn Error,
                "the table cache_hot_set cannot be used: a start after Redis was emptied is a cold \
                 one; install the journal, which creates the table"
            );
        }
        None
    }
}

/// Cuts lines into parts, each of whole lines. Leaves out a line that fits into none.
fn parts(lines: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in lines.split_inclusive('\n') {
        if MAX_PART_BYTES < line.len() {
            continue;
        }
        match parts.last_mut() {
            Some(part) if part.len() + line.len() <= MAX_PART_BYTES => part.push_str(line),
            _ => parts.push(line.to_owned()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_whole_lines_in_their_order() {
        let lines: String = (0..30_000).map(|number| format!("{number}\n")).collect();
        let parts = parts(&lines);
        assert_eq!(parts.concat(), lines);
        assert_eq!(parts.len(), lines.len().div_ceil(MAX_PART_BYTES));
        assert!(parts.iter().all(|part| part.ends_with('\n')));
    }

    #[test]
    fn a_line_that_fits_into_no_part_is_left_out() {
        let long = "x".repeat(MAX_PART_BYTES);
        assert_eq!(parts(&format!("1\n{long}\n2\n")).concat(), "1\n2\n");
    }
}
