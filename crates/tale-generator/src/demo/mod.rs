//! The guided example: the effects of a cache, measured, in six acts, or seven.
//!
//! It has no prerequisites. It starts a private Redis and creates a SQLite
//! file, both in a temporary directory, and ignores the environment. It checks
//! each promise that it shows. If one did not hold, it reports that and returns
//! false.
//!
//! 1. `without`: every read goes to the database.
//! 2. `with`: a miss, then hits; a hundred callers cause one load.
//! 3. `writes`: the keys that a write invalidates.
//! 4. `instances`: two services on one Redis stay consistent.
//! 5. `outage`: Redis is killed and restarted.
//! 6. `learning`: rows that often follow are fetched ahead.
//! 7. `cluster`, if asked for: a primary of a private cluster is killed.

mod page;
mod stage;
mod with;
mod instances;
mod learning;
mod cluster;
mod outage;
mod without;
mod writes;

use std::io;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use self::page::Page;
use self::stage::Stage;
use crate::domain::TaleError;

/// The reason why the example stopped.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A signal stopped it.
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
    /// The acts cannot continue from here.
    #[error("{0}")]
    Stuck(&'static str),
}

/// Shows the example on standard output, with the act of a cluster or without.
/// Returns true if every promise held.
///
/// # Errors
/// [`DemoError`], after every process that it started has ended.
pub async fn run(with_cluster: bool) -> Result<bool, DemoError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    // If the acts are dropped midway, they end the private Redis as they do at
    // their end.
    tokio::select! {
        shown = acts(with_cluster) => shown,
        _ = terminate.recv() => Err(DemoError::Interrupted),
        _ = interrupt.recv() => Err(DemoError::Interrupted),
        _ = hangup.recv() => Err(DemoError::Interrupted),
    }
}

async fn acts(with_cluster: bool) -> Result<bool, DemoError> {
    let begun = Instant::now();
    let mut page = Page::new();
    let mut stage = Stage::set(&mut page).await?;
    without::show(&stage, &mut page).await?;
    let tales = with::show(&stage, &mut page).await?;
    writes::show(&stage, &tales, &mut page).await?;
    instances::show(&stage, &tales, &mut page).await?;
    outage::show(&mut stage, &tales, &mut page).await?;
    tales.cache().close().await;
    learning::show(&stage, &mut page).await?;
    if with_cluster {
        cluster::show(&stage, &mut page).await?;
    }
    page.end(begun.elapsed());
    Ok(page.all_held())
}
