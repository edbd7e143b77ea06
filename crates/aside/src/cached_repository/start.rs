//! The warm-up of a start: once for each kind of a service, when Redis is trusted.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::cached_repository::CachedRepository;
use crate::cached_repository::warm_up::WarmUpOptions;
use crate::config::warm_up::WarmUpFrom;
use crate::entity::Entity;
use crate::read::ReadPath;
use crate::repository::Source;
use crate::runtime::task;
use crate::service::{CacheService, WeakService};

/// The pause between two looks whether Redis is trusted.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Begins the warm-up of a kind, unless it has begun, or there is none.
pub(super) fn begin<R: Source>(read: &ReadPath<R>) {
    let tiers = read.tiers();
    let is_kept = tiers.is_remote() && tiers.has_local_tier();
    let Some(from) = tiers.config.warm_up.filter(|_| is_kept) else {
        return;
    };
    // Without a runtime there is no connection either.
    if Handle::try_current().is_err() {
        return;
    }
    if !tiers.warm_ups.begin(R::Entity::KIND, tiers.is_usable()) {
        return;
    }
    let (source, service) = (Arc::clone(&read.source), read.cache.downgrade());
    task::spawn(async move {
        let Some(cache) = trusted(&service).await else {
            return;
        };
        let had_keys = run(Arc::clone(&source), &cache, from).await;
        if had_keys || from != WarmUpFrom::Hot || cache.tiers().hot_tables.is_known() {
            return;
        }
        // The journal may be polled only after the repository was made. Without holding
        // the service, which may end before.
        let table = cache.tiers().hot_tables.wait();
        let limit = cache.config().warm_up_deadline;
        drop(cache);
        if let Ok(true) = timeout(limit, table).await
            && let Some(cache) = trusted(&service).await
        {
            run(source, &cache, from).await;
        }
    });
}

/// Waits until Redis is trusted, and returns the service; `None` if it has ended.
async fn trusted(service: &WeakService) -> Option<CacheService> {
    loop {
        match service.upgrade()? {
            closed if closed.is_closed() => return None,
            cache if cache.is_synced() => return Some(cache),
            _ => {}
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Warms a kind up. Returns false if it had no keys.
async fn run<R: Source>(source: Arc<R>, cache: &CacheService, from: WarmUpFrom) -> bool {
    let kind = R::Entity::KIND;
    let tiers = cache.tiers();
    // By now the strategy of the kind has been registered.
    let repository = CachedRepository::over(ReadPath::new(source, cache, None));
    let how = WarmUpOptions {
        from,
        ..WarmUpOptions::default()
    };
    let report = |progress| tiers.warm_ups.report(kind, progress);
    let had_keys = match repository.warm_up(how, report).await {
        Ok(warmed) if 0 < warmed.total => {
            let (done, total) = (warmed.done, warmed.total);
            tracing::info!(kind, done, total, filled = warmed.filled, "warmed up");
            true
        }
        Ok(_) => false,
        Err(_) => {
            tracing::warn!(
                kind,
                "the warm-up stopped: the database failed; rows are read when callers ask for them"
            );
            true
        }
    };
    tiers.warm_ups.end(kind);
    had_keys
}
