//! Which writes may run at once.
//!
//! A write that waits for a lock holds its connection meanwhile. Without a
//! bound, thirty writes of a row that another program has locked hold all
//! connections, and reads of other rows find none. So writes have half of the
//! connections, and those of one row two of them: the others wait in here,
//! where a place costs nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::TaleError;

/// How many writes of one row run at once: one that has the lock, and one
/// that has it next without a round trip in between.
const OF_ONE_ROW: usize = 2;

/// Rows share places by the last bits of their ids, which are random.
const PLACES: u128 = 1024;

/// The places for writes.
#[derive(Debug)]
pub(super) struct Writers {
    all: Arc<Semaphore>,
    rows: Vec<Arc<Semaphore>>,
    patience: Duration,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _row: Option<OwnedSemaphorePermit>,
    _one_of_all: OwnedSemaphorePermit,
}

impl Writers {
    /// For a pool of so many connections; a write that has no place after
    /// `patience` is turned away.
    pub(super) fn new(connections: u32, patience: Duration) -> Self {
        let half = (connections / 2).max(1) as usize;
        let row = || Arc::new(Semaphore::new(OF_ONE_ROW));
        Self {
            all: Arc::new(Semaphore::new(half)),
            rows: (0..PLACES).map(|_| row()).collect(),
            patience,
        }
    }

    /// A place for a write that locks this row first, or none that is there.
    ///
    /// # Errors
    /// [`TaleError::Busy`] when there is none in time.
    pub(super) async fn place(&self, row: Option<Uuid>) -> Result<Place, TaleError> {
        let waited = timeout(self.patience, async {
            // In this order: what waits for a row keeps no other from writing.
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
