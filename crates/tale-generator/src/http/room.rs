//! How much may be under way at once.
//!
//! Bodies are read without a place, and each byte of them is counted when it
//! has come: a client that sends slowly keeps neither places nor memory from
//! others. A request takes its place when it is there as a whole. Reads have
//! none: what they find in process costs nothing, connections bound their
//! number, and the database's pool how many of them wait for it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::App;
use super::problem::Problem;

/// How many writes may run at once.
const MOST_WRITES: usize = 256;

/// What bodies that are read and pages that no cache holds may take together,
/// in KiB: 64 MiB.
const MOST_KIB: usize = 64 * 1024;

/// What all requests share.
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

/// Memory that one request holds.
#[derive(Debug)]
pub(super) struct Memory {
    room: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_WRITES)),
            memory: Arc::new(Semaphore::new(MOST_KIB)),
        }
    }

    /// Waits for a place.
    pub(super) async fn place(&self) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        let permit = permit.map_err(|_| full())?;
        Ok(Place { _permit: permit })
    }

    /// No memory yet.
    pub(super) fn memory(&self) -> Memory {
        Memory {
            room: Arc::clone(&self.memory),
            held: None,
        }
    }
}

impl Memory {
    /// Holds as many `bytes` altogether from now on.
    ///
    /// # Errors
    /// 503, where others hold too much.
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
    Problem::busy("too much is under way at the moment, try again later")
}

impl FromRequestParts<App> for Place {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Problem> {
        app.room.place().await
    }
}
