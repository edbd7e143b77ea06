//! Queries of the database, within the strategy's time limit.
//!
//! A load that takes too long is dropped together with its query, as by a
//! caller's own timeout. Otherwise it would occupy a connection of the pool for
//! as long as a network can hang, for a result that is no longer needed.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Found, Lookup, LookupRef};
use crate::insight::statistics::Operation;
use crate::read::ReadPath;
use crate::repository::{Id, Overloaded, Row, Source};
use crate::tiers::Tiers;
use crate::tiers::kind::Kind;
use crate::tiers::origin_guard::{self, Place};

/// The outcome of a load: a result, or the repository's panic.
pub(crate) type Loaded<T, X> = Result<Result<T, X>, Box<dyn Any + Send>>;

tokio::task_local! {
    /// The load that this task runs.
    static LOADING: Arc<Loading>;
}

/// The keys of a load, and of the loads it is part of.
struct Loading {
    /// The service, by its address.
    service: usize,
    keys: BTreeSet<Key>,
    outer: Option<Arc<Self>>,
}

impl<R: Source> ReadPath<R> {
    /// Returns true if this read is part of a load of the same key, as with two
    /// nested cached repositories. It would wait for itself.
    pub(super) fn is_loading(&self, key: &Key) -> bool {
        is_loading(self.tiers(), key)
    }

    /// Runs a load of `keys`.
    fn loading<T>(
        &self,
        keys: BTreeSet<Key>,
        load: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        loading(self.tiers(), keys, load)
    }

    /// Queries the database.
    pub(crate) async fn load(
        &self,
        lookup: &Lookup<R::Entity>,
        operation: Operation,
    ) -> Result<Found<R::Entity>, R::Error> {
        let key = lookup.asked().key(self.tiers().namespace());
        let load = load_from(&*self.source, &self.kind, lookup, operation);
        self.in_time(self.loading(BTreeSet::from([key]), load))
            .await
    }

    /// Queries the database for several rows at once.
    pub(super) async fn load_many(&self, ids: &[Id<R>]) -> Result<Vec<Option<Row<R>>>, R::Error> {
        let load = async {
            let begun = Instant::now();
            let rows = self.source.find_many(ids).await;
            let took = begun.elapsed();
            self.kind.statistics.source_took(Operation::FindMany, took);
            let rows = rows?;
            if rows.len() == ids.len() {
                return Ok(rows);
            }
            self.load_each(ids, rows.len()).await
        };
        let key = |id| LookupRef::<R::Entity>::Id(id).key(self.tiers().namespace());
        let keys = ids.iter().map(key).collect();
        self.in_time(self.loading(keys, load)).await
    }

    /// Loads one row at a time, after `find_many` returned too few or too many:
    /// then positions in its result do not identify ids.
    async fn load_each(
        &self,
        ids: &[Id<R>],
        returned: usize,
    ) -> Result<Vec<Option<Row<R>>>, R::Error> {
        self.tiers().statistics.error("miscounted_rows");
        if !self.kind.miscounted.swap(true, Ordering::Relaxed) {
            tracing::error!(
                kind = R::Entity::KIND,
                asked = ids.len(),
                returned,
                "find_many must return one place per id, None if the row is absent; \
                 the rows are loaded one by one instead"
            );
        }
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            rows.push(self.source.find_by_id(id).await?);
        }
        Ok(rows)
    }

    /// Returns the place of a load at the source. During an outage of Redis there are
    /// only so many, and a load that gets none in time is turned away.
    pub(super) async fn place_for<T>(
        &self,
        is_outage: bool,
    ) -> Result<Option<Arc<Place>>, Loaded<T, R::Error>> {
        if !is_outage {
            return Ok(origin_guard::current());
        }
        match self.tiers().place_at_source().await {
            Some(place) => Ok(Some(place)),
            None => {
                let overloaded = async { Err(self.source.overloaded(Overloaded::TooManyLoads)) };
                Err(catch(overloaded).await)
            }
        }
    }

    /// Drops a load when its time limit ends.
    async fn in_time<T>(
        &self,
        load: impl Future<Output = Result<T, R::Error>>,
    ) -> Result<T, R::Error> {
        let (limit, overdue) = (self.kind.load_timeout, &self.kind.overdue);
        let loaded = tokio::time::timeout(limit, load).await;
        // Read first, because other cores read it as well.
        if loaded.is_ok() == overdue.load(Ordering::Relaxed) {
            overdue.store(loaded.is_err(), Ordering::Relaxed);
            if loaded.is_err() {
                tracing::error!(
                    kind = R::Entity::KIND,
                    ?limit,
                    "a load took too long and was dropped; its callers got an error"
                );
            }
        }
        loaded.unwrap_or_else(|_| {
            self.tiers().statistics.error("load_timed_out");
            Err(self.source.overloaded(Overloaded::TooSlow))
        })
    }
}

/// Returns true if this task runs a load of `key` for this service.
pub(crate) fn is_loading(tiers: &Arc<Tiers>, key: &Key) -> bool {
    let mut loading = LOADING.try_with(Arc::clone).ok();
    while let Some(load) = loading {
        if load.service == address(tiers) && load.keys.contains(key) {
            return true;
        }
        loading = load.outer.clone();
    }
    false
}

/// Runs a load of `keys`.
pub(crate) fn loading<T>(
    tiers: &Arc<Tiers>,
    keys: BTreeSet<Key>,
    load: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let loading = Loading {
        service: address(tiers),
        keys,
        outer: LOADING.try_with(Arc::clone).ok(),
    };
    LOADING.scope(Arc::new(loading), load)
}

fn address(tiers: &Arc<Tiers>) -> usize {
    Arc::as_ptr(tiers) as usize
}

/// Queries the database without a time limit, and records the duration.
pub(super) async fn load_from<R: Source>(
    source: &R,
    kind: &Kind<R::Entity>,
    lookup: &Lookup<R::Entity>,
    operation: Operation,
) -> Result<Found<R::Entity>, R::Error> {
    let begun = Instant::now();
    let found = match lookup {
        Lookup::Id(id) => source.find_by_id(id).await.map(Found::Row),
        Lookup::Index(index) => source.find_by(index).await.map(Found::List),
        Lookup::All => source.list_all().await.map(Found::List),
    };
    kind.statistics.source_took(operation, begun.elapsed());
    kind.load_took(begun.elapsed());
    found
}

/// Catches a repository's panic, so that waiting readers get a reply.
pub(crate) async fn catch<T>(load: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    AssertUnwindSafe(load).catch_unwind().await
}
