//! The database and the cache of a command.

use aside::CacheService;

use super::failure::Failure;
use crate::sql::Database;
use crate::{AppSettings, Tales};

/// Opens the database and connects the cache.
pub(super) async fn open(settings: &AppSettings) -> Result<Tales, Failure> {
    let database = open_database(settings).await?;
    let cache = CacheService::connect(settings.cache.clone()).await;
    database.journal_for(&cache).await;
    Ok(Tales::new(database, &cache))
}

/// Opens the database alone.
pub(super) async fn open_database(settings: &AppSettings) -> Result<Database, Failure> {
    let url = settings.database_url.expose();
    let what = "no database (DATABASE_URL, or --database)";
    Database::open(url, settings.database_options())
        .await
        .map_err(|error| Failure::new(what, error))
}

/// Closes both, after sending pending invalidations to Redis.
pub(super) async fn close(tales: &Tales) {
    tales.cache().close().await;
    tales.database.close().await;
}

/// Warns if running services cannot be notified of the added rows.
pub(super) fn warn_of_what_is_not_heard(tales: &Tales) {
    let cache = tales.cache();
    if cache.config().redis_enabled && !cache.is_synced() {
        tracing::warn!(
            "Redis is unavailable: running services may miss the new rows in their cached lists"
        );
    }
}
