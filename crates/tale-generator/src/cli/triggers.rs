//! `tales triggers`

use super::failure::Failure;
use super::opened;
use super::say;
use crate::AppSettings;

/// What to do with the triggers.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Action {
    /// Puts them on the three tables, for this CACHE_NAMESPACE
    Install,
    /// Takes them away
    Remove,
}

pub(super) async fn change(action: Action, settings: &AppSettings) -> Result<(), Failure> {
    let database = opened::open_database(settings).await?;
    let (changed, done) = match action {
        Action::Install => (
            database.install_triggers(&settings.cache.namespace).await,
            "what other programs write to the tables is forgotten by every instance",
        ),
        Action::Remove => (
            database.remove_triggers().await,
            "what other programs write to the tables is not heard of",
        ),
    };
    database.close().await;
    changed.map_err(|error| Failure::new("the triggers could not be changed", error))?;
    say::result(done)
}
