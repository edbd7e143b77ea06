//! Limits on concurrent writes and on memory.
//!
//! Bodies are read without a place, and each byte is counted when it arrives.
//! So a slow client takes neither places nor memory from others. A request
//! takes its place once it is complete. Reads need no place. Local hits cost
//! almost nothing, the number of connections bounds the rest, and the
//! database's pool bounds those that wait for it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::App;
use super::problem::Problem;

/// The maximum number of concurrent writes.
const MAX_WRITES: usize = 256;

/// The maximum memory of all bodies being read and of all uncached pages
/// together, in KiB: 64 MiB.
const MAX_KIB: usize = 64 * 1024;

/// The limits shared by all requests.
#[derive(Clone, Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    memory: Arc<Semaphore>,
}

/// The place of one write.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// The memory that one request holds.
#[derive(Debug)]
pub(super) struct Memory {
    room: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_WRITES)),
            memory: Arc::new(Semaphore::new(MAX_KIB)),
        }
    }

    /// Waits for a place.
    pub(super) async fn place(&self) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        let permit = permit.map_err(|_| full())?;
        Ok(Place { _permit: permit })
    }

    /// Returns an empty account of memory.
    pub(super) fn memory(&self) -> Memory {
        Memory {
            room: Arc::clone(&self.memory),
            held: None,
        }
    }
}

impl Memory {
    /// Raises the memory held to `bytes` in total.
    ///
    /// # Errors
    /// 503 if other requests hold too much.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), Problem> {
        let needed = bytes.div_ceil(1024);
        let held = self
            .held
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = needed.checked_sub(held).filter(|more| 0 < *more) else {
            return Ok(());
        };
        let more = u32::try_from(more).map_err(|_| full())?;
        let more = Arc::clone(&self.room).try_acquire_many_owned(more);
        let more = more.map_err(|_| full())?;
        match &mut self.held {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

fn full() -> Problem {
    Problem::busy("too much work is in progress, try again later")
}

impl FromRequestParts<App> for Place {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Problem> {
        app.room.place().await
    }
}
