//! The guided example: what a cache does, measured, in five acts.
//!
//! It needs nothing: a SQLite file and a Redis of its own, both in a
//! temporary directory, whatever the environment says. It checks what it
//! shows: where a promise did not hold it says so, and answers false.
//!
//! 1. `without`: every read goes to the database.
//! 2. `with`: a miss, then hits; a hundred callers cost one load.
//! 3. `writes`: what a write makes every copy forget.
//! 4. `instances`: two services on one Redis stay in step.
//! 5. `outage`: Redis is killed and comes back.

mod instances;
mod outage;
mod page;
mod redis;
mod stage;
mod with;
mod without;
mod writes;

use std::io;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use self::page::Page;
use self::stage::Stage;
use crate::domain::TaleError;

/// Why the example stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Somebody wanted it to.
    #[error("it was interrupted")]
    Interrupted,
    /// The temporary directory, the private Redis or the terminal failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The temporary database could not be opened.
    #[error(transparent)]
    Open(#[from] crate::sql::OpenError),
    /// The temporary database failed.
    #[error(transparent)]
    Tale(#[from] TaleError),
    /// Something came about that the acts cannot go on from.
    #[error("{0}")]
    Stuck(&'static str),
}

/// Shows it on standard output; answers whether everything held.
///
/// # Errors
/// [`DemoError`], after everything that was started has ended.
pub async fn run() -> Result<bool, DemoError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // Dropped in the middle, the acts end the private Redis as they do at
    // their end.
    tokio::select! {
        shown = acts() => shown,
        _ = terminate.recv() => Err(DemoError::Interrupted),
        _ = interrupt.recv() => Err(DemoError::Interrupted),
        _ = hangup.recv() => Err(DemoError::Interrupted),
    }
}

async fn acts() -> Result<bool, DemoError> {
    let begun = Instant::now();
    let mut page = Page::new();
    let mut stage = Stage::set(&mut page).await?;
    without::show(&stage, &mut page).await?;
    let tales = with::show(&stage, &mut page).await?;
    writes::show(&stage, &tales, &mut page).await?;
    instances::show(&stage, &tales, &mut page).await?;
    outage::show(&mut stage, &tales, &mut page).await?;
    tales.cache().close().await;
    page.end(begun.elapsed());
    Ok(page.all_held())
}
