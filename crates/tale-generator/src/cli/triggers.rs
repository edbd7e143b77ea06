//! `tales triggers`

use super::failure::Failure;
use super::opened;
use super::say;
use crate::AppSettings;

/// The change to make to the triggers.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Action {
    /// Adds them to the three tables, for this CACHE_NAMESPACE
    Install,
    /// Removes them
    Remove,
}

pub(super) async fn change(action: Action, settings: &AppSettings) -> Result<(), Failure> {
    let database = opened::open_database(settings).await?;
    let (changed, done) = match action {
        Action::Install => (
            database.install_triggers(&settings.cache.namespace).await,
            "every instance invalidates rows that other programs write",
        ),
        Action::Remove => (
            database.remove_triggers().await,
            "caches are no longer notified of writes by other programs",
        ),
    };
    database.close().await;
    changed.map_err(|error| Failure::new("the triggers could not be changed", error))?;
    say::result(done)
}
