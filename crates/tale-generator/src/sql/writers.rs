//! The limits on concurrent writes (a bulkhead).
//!
//! A write that waits for a lock holds its connection meanwhile. Without a
//! limit, thirty writes of one row that another program has locked would hold
//! all connections, and reads of other rows would find none. So writes get half
//! of the connections, and writes of one row two of them. Further writes wait
//! here, without a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::TaleError;

/// The number of concurrent writes of one row. One holds the lock, and the next
/// one takes it without a round trip in between.
const OF_ONE_ROW: usize = 2;

/// The number of row semaphores. A row uses the one that the last bits of its
/// id select, and those bits are random.
const PLACES: u128 = 1024;

/// The places of concurrent writes.
#[derive(Debug)]
pub(super) struct Writers {
    all: Arc<Semaphore>,
    rows: Vec<Arc<Semaphore>>,
    patience: Duration,
}

/// A place, released on drop.
#[derive(Debug)]
pub(super) struct Place {
    _row: Option<OwnedSemaphorePermit>,
    _one_of_all: OwnedSemaphorePermit,
}

impl Writers {
    /// Creates the places for a pool of this many connections. A write without
    /// a place after `patience` is refused.
    pub(super) fn new(connections: u32, patience: Duration) -> Self {
        let half = (connections / 2).max(1) as usize;
        let row = || Arc::new(Semaphore::new(OF_ONE_ROW));
        Self {
            all: Arc::new(Semaphore::new(half)),
            rows: (0..PLACES).map(|_| row()).collect(),
            patience,
        }
    }

    /// Waits for a place for a write that locks this row first. `None` means
    /// that it locks no existing row.
    ///
    /// # Errors
    /// [`TaleError::Busy`] if no place is free in time.
    pub(super) async fn place(&self, row: Option<Uuid>) -> Result<Place, TaleError> {
        let waited = timeout(self.patience, async {
            // The row's semaphore comes first: a write that waits for its row
            // takes no place from other writes.
            let row = match row {
                Some(id) => {
                    let place = (id.as_u128() % PLACES) as usize;
                    Some(self.rows[place].clone().acquire_owned().await?)
                }
                None => None,
            };
            Ok::<_, tokio::sync::AcquireError>(Place {
                _row: row,
                _one_of_all: self.all.clone().acquire_owned().await?,
            })
        });
        match waited.await {
            Ok(Ok(place)) => Ok(place),
            // The semaphores are never closed.
            Ok(Err(_)) | Err(_) => Err(TaleError::Busy),
        }
    }
}
