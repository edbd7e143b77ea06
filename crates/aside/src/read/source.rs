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
use crate::entity::lookup::{Found, Lookup};
use crate::insight::statistics::Operation;
use crate::read::ReadPath;
use crate::repository::{Overloaded, Source};
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
        let loaded = self.in_time(self.loading(BTreeSet::from([key]), load));
        let found = loaded.await?;
        self.kind.statistics.loaded(found.is_absence());
        Ok(found)
    }

    /// Queries the database for several rows at once, or for several lists.
    pub(super) async fn load_many(
        &self,
        lookups: &[Lookup<R::Entity>],
    ) -> Result<Vec<Found<R::Entity>>, R::Error> {
        let load = async {
            let begun = Instant::now();
            let (operation, found) = self.query_many(lookups).await;
            self.kind.statistics.source_took(operation, begun.elapsed());
            let found = found?;
            if found.len() == lookups.len() {
                return Ok(found);
            }
            self.load_each(lookups, found.len()).await
        };
        let key = |lookup: &Lookup<R::Entity>| lookup.asked().key(self.tiers().namespace());
        let keys = lookups.iter().map(key).collect();
        let found = self.in_time(self.loading(keys, load)).await?;
        for found in &found {
            self.kind.statistics.loaded(found.is_absence());
        }
        Ok(found)
    }

    /// Queries rows if the lookups have ids, else lists.
    async fn query_many(
        &self,
        lookups: &[Lookup<R::Entity>],
    ) -> (Operation, Result<Vec<Found<R::Entity>>, R::Error>) {
        let (mut ids, mut indexes) = (Vec::new(), Vec::new());
        for lookup in lookups {
            match lookup {
                Lookup::Id(id) => ids.push(id.clone()),
                Lookup::Index(index) => indexes.push((**index).clone()),
                Lookup::All => unreachable!("a batch has ids or index values"),
            }
        }
        if indexes.is_empty() {
            let rows = self.source.find_many(&ids).await;
            let found = rows.map(|rows| rows.into_iter().map(Found::Row).collect());
            (Operation::FindMany, found)
        } else {
            let lists = self.source.find_by_many(&indexes).await;
            let found = lists.map(|lists| lists.into_iter().map(Found::List).collect());
            (Operation::FindBy, found)
        }
    }

    /// Loads one result at a time, after a batch returned too few or too many: then
    /// positions in it do not identify lookups.
    async fn load_each(
        &self,
        lookups: &[Lookup<R::Entity>],
        returned: usize,
    ) -> Result<Vec<Found<R::Entity>>, R::Error> {
        self.tiers().statistics.error("miscounted_rows");
        if !self.kind.miscounted.swap(true, Ordering::Relaxed) {
            tracing::error!(
                kind = R::Entity::KIND,
                asked = lookups.len(),
                returned,
                "find_many must return one place per id, None if the row is absent, and \
                 find_by_many one list per index value; they are loaded one by one instead"
            );
        }
        let mut found = Vec::with_capacity(lookups.len());
        for lookup in lookups {
            found.push(query_one(&*self.source, lookup).await?);
        }
        Ok(found)
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

/// Returns true if this task runs a load.
pub(crate) fn is_in_a_load() -> bool {
    LOADING.try_with(|_| ()).is_ok()
}

/// Returns true if this task runs a load of `key` for this service.
pub(crate) fn is_loading(tiers: &Arc<Tiers>, key: &Key) -> bool {
    let mut loading = LOADING.try_with(Arc::clone).ok();
    if cfg!(debug_assertions)
        && loading
            .as_ref()
            .is_some_and(|load| load.service == address(tiers))
    {
        tracing::debug!(
            key = key.as_str(),
            "a load reads through the cache: the answer may be older than the load, by the \
             staleness bound"
        );
    }
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
    let found = query_one(source, lookup).await;
    kind.statistics.source_took(operation, begun.elapsed());
    kind.load_took(begun.elapsed());
    found
}

async fn query_one<R: Source>(
    source: &R,
    lookup: &Lookup<R::Entity>,
) -> Result<Found<R::Entity>, R::Error> {
    match lookup {
        Lookup::Id(id) => source.find_by_id(id).await.map(Found::Row),
        Lookup::Index(index) => source.find_by(index).await.map(Found::List),
        Lookup::All => source.list_all().await.map(Found::List),
    }
}

/// Catches a repository's panic, so that waiting readers get a reply.
pub(crate) async fn catch<T>(load: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    AssertUnwindSafe(load).catch_unwind().await
}
