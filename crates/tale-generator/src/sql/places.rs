//! The limits on concurrent writes and page reads (bulkheads).
//!
//! A write that waits for a lock holds its connection meanwhile. Without a
//! limit, thirty writes of one row that another program has locked would hold
//! all connections, and reads of other rows would find none. So writes get half
//! of the connections, and writes of one row two of them. Further writes wait
//! here, without a connection.
//!
//! A page of a list that is too large to cache is read for each client
//! separately. So pages get a quarter of the connections. With four connections
//! or more, blocked writes and clients of such a list leave some to other reads.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::TaleError;

/// The number of concurrent writes of one row. One holds the lock, and the next
/// one takes it without a round trip in between.
const OF_ONE_ROW: usize = 2;

/// The number of row semaphores. A row uses the one that the last bits of its
/// id select, and those bits are random.
const ROWS: u128 = 1024;

/// The places of concurrent writes and page reads.
#[derive(Debug)]
pub(super) struct Places {
    writes: Arc<Semaphore>,
    rows: Vec<Arc<Semaphore>>,
    pages: Arc<Semaphore>,
    patience: Duration,
}

/// The place of a write, released on drop.
#[derive(Debug)]
pub(super) struct WritePlace {
    _row: Option<OwnedSemaphorePermit>,
    _one_of_all: OwnedSemaphorePermit,
}

/// The place of a page read, released on drop.
#[derive(Debug)]
pub(super) struct PagePlace {
    _one_of_all: OwnedSemaphorePermit,
}

impl Places {
    /// Creates the places for a pool of this many connections. A caller without
    /// a place after `patience` is refused.
    pub(super) fn new(connections: u32, patience: Duration) -> Self {
        let part_of =
            |divisor: u32| Arc::new(Semaphore::new((connections / divisor).max(1) as usize));
        let row = || Arc::new(Semaphore::new(OF_ONE_ROW));
        Self {
            writes: part_of(2),
            rows: (0..ROWS).map(|_| row()).collect(),
            pages: part_of(4),
            patience,
        }
    }

    /// Waits for a place for a write that locks this row first. `None` means
    /// that it locks no existing row.
    ///
    /// # Errors
    /// [`TaleError::Busy`] if no place is free in time.
    pub(super) async fn of_write(&self, row: Option<Uuid>) -> Result<WritePlace, TaleError> {
        self.in_time(async {
            // The row's semaphore comes first: a write that waits for its row
            // takes no place from other writes.
            let row = match row {
                Some(id) => {
                    let place = (id.as_u128() % ROWS) as usize;
                    Some(self.rows[place].clone().acquire_owned().await?)
                }
                None => None,
            };
            Ok(WritePlace {
                _row: row,
                _one_of_all: self.writes.clone().acquire_owned().await?,
            })
        })
        .await
    }

    /// Waits for a place for the read of one page.
    ///
    /// # Errors
    /// [`TaleError::Busy`] if no place is free in time.
    pub(super) async fn of_page(&self) -> Result<PagePlace, TaleError> {
        self.in_time(async {
            Ok(PagePlace {
                _one_of_all: self.pages.clone().acquire_owned().await?,
            })
        })
        .await
    }

    async fn in_time<T>(
        &self,
        waited: impl Future<Output = Result<T, AcquireError>>,
    ) -> Result<T, TaleError> {
        match timeout(self.patience, waited).await {
            Ok(Ok(place)) => Ok(place),
            // The semaphores are never closed.
            Ok(Err(_)) | Err(_) => Err(TaleError::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writes_and_pages_leave_connections_to_other_reads() {
        for connections in [4, 5, 10, 100] {
            let places = Places::new(connections, Duration::from_millis(1));
            let (mut writes, mut pages) = (Vec::new(), Vec::new());
            while let Ok(place) = places.of_write(None).await {
                writes.push(place);
            }
            while let Ok(place) = places.of_page().await {
                pages.push(place);
            }
            assert!(!writes.is_empty() && !pages.is_empty());
            let left = connections as usize - writes.len() - pages.len();
            assert!(connections as usize / 4 <= left, "{left} of {connections}");
        }
    }
}
