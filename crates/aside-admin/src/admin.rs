//! The state of the routes.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aside::{
    CacheService, CachedRepository, Entity, Repository,
    report::{WarmUpOptions, WarmUpProgress},
};

use crate::access::Access;
use crate::history::History;
use crate::warm_ups::{Progress, WarmUpFailed, WarmUps};

/// The state of the routes of [`router`](crate::router), and their access
/// control.
#[derive(Clone)]
pub struct Admin {
    cache: CacheService,
    access: Access,
    warm_ups: Arc<WarmUps>,
    history: Arc<History>,
}

impl Admin {
    /// Creates the state for `cache`; `access` selects the requests that are
    /// served.
    #[must_use]
    pub fn new(cache: CacheService, access: Access) -> Self {
        Self {
            history: History::new(cache.clone()),
            cache,
            access,
            warm_ups: Arc::default(),
        }
    }

    /// Lets `POST /cache/warm` fill the cache of this repository, with the
    /// defaults of [`WarmUpOptions`].
    #[must_use]
    pub fn with_repository<R>(self, repository: CachedRepository<R>) -> Self
    where
        R: Repository,
        R::Error: fmt::Display,
    {
        self.with_warm_up(R::Entity::KIND, move |progress| {
            let repository = repository.clone();
            let how = WarmUpOptions {
                from: progress.from(),
                ..WarmUpOptions::default()
            };
            async move {
                repository
                    .warm_up(how, move |state| progress.report(state))
                    .await
                    .map_err(WarmUpFailed::new)
            }
        })
    }

    /// Lets `POST /cache/warm` fill the cache of `kind` by calling `warm_up`.
    /// It reports its progress, and returns the final counts. A second call
    /// with the same kind replaces the first.
    #[must_use]
    pub fn with_warm_up<W, F>(mut self, kind: impl Into<String>, warm_up: W) -> Self
    where
        W: Fn(Progress) -> F + Send + Sync + 'static,
        F: Future<Output = Result<WarmUpProgress, WarmUpFailed>> + Send + 'static,
    {
        let warm_ups = WarmUps::with(&self.warm_ups, kind.into(), warm_up);
        self.warm_ups = Arc::new(warm_ups);
        self
    }

    pub(crate) fn cache(&self) -> &CacheService {
        &self.cache
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn warm_ups(&self) -> &Arc<WarmUps> {
        &self.warm_ups
    }

    pub(crate) fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Returns the kinds that are cached here.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let kinds = self.cache.stats().kinds;
        kinds.iter().map(|kind| kind.kind.to_owned()).collect()
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Admin")
            .field("cache", &self.cache)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
