//! The cache service: the tiers and connections shared by every cached
//! repository.

pub(crate) mod curve;
pub(crate) mod hot_keys;
#[cfg(feature = "metrics")]
mod page;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
pub(crate) mod report;
pub(crate) mod advice;
pub(crate) mod health;
pub(crate) mod local_state;
pub(crate) mod explain;
pub(crate) mod named;
pub(crate) mod purge;
pub(crate) mod prefetch;

#[cfg(test)]
mod hearing_tests;
mod keys;
mod begin;
mod connect;
pub(crate) mod fleet;
mod cluster;
#[cfg(feature = "ops")]
pub(crate) mod ops;
mod start;

pub use keys::Ttl;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::config::CacheConfig;
use crate::config::credentials::{CredentialsProvider, Provider};
use crate::entity::Entity;
use crate::entity::strategy::CacheStrategy;
use crate::insight::warm_ups::WarmUpProgress;
use crate::memory::Subscription;
use crate::protocol::{Op, Reply, Traffic};
use crate::recovery::drain::{self, Drain};
use crate::recovery::journal::Journal;
use crate::service::report::{KeyCounts, ServiceStats};
use crate::tiers::Tiers;
use crate::tiers::broadcaster::{Invalidation, Invalidations};
use crate::write::Write;

/// The cache service: the tiers and connections. Clones share them.
///
/// No operation fails: without Redis, reads return nothing. Every call is
/// bounded by `CACHE_OPERATION_TIMEOUT_MS`; calls that scan keys, once per page
/// of 500. None uses `KEYS` or `FLUSHDB`.
///
/// Dropping the last clone, of the service and of the repositories around it,
/// ends its tasks and connections.
#[derive(Clone)]
pub struct CacheService(Arc<Service>);

struct Service {
    tiers: Arc<Tiers>,
    /// The last count of keys per kind, and its time.
    counted: Mutex<Option<(Instant, KeyCounts)>>,
    /// Ends the subscription to messages with the service.
    subscription: Option<Subscription>,
    begun: Instant,
}

/// A weak reference to a service.
#[derive(Clone)]
pub(crate) struct WeakService(Weak<Service>);

impl WeakService {
    /// Returns true if the service is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }

    pub(crate) fn upgrade(&self) -> Option<CacheService> {
        self.0.upgrade().map(CacheService)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end_audit();
        self.tiers.tasks.close();
    }
}

impl Service {
    fn end_audit(&self) {
        if let Some(audit) = &self.tiers.audit {
            audit.close();
        }
    }
}

impl CacheService {
    /// Connects to Redis and subscribes to invalidations.
    ///
    /// If Redis is unavailable, the service starts all the same: reads go to
    /// the database, and it connects in the background. Returns as soon as
    /// Redis is trusted, and after `CACHE_OPERATION_TIMEOUT_MS` at the latest.
    /// Invalid settings, which [`CacheConfig::validate`] refuses, are logged,
    /// and nothing is cached.
    pub async fn connect(config: CacheConfig) -> Self {
        Self::connect_as(config, None).await
    }

    /// Connects with credentials that expire, such as a cloud's tokens:
    /// `provider` is called for each connection. Its credentials replace any
    /// user and password in `config`.
    ///
    /// Open connections are not affected. If the server closes one because its
    /// token has expired, the next one authenticates anew. Until then, for a
    /// fraction of a second, reads come from the database.
    pub async fn connect_with(config: CacheConfig, provider: impl CredentialsProvider) -> Self {
        Self::connect_as(config, Some(Provider::new(provider))).await
    }

    async fn connect_as(config: CacheConfig, provider: Option<Provider>) -> Self {
        let service = Self::start(&config, provider);
        let namespace = service.tiers().namespace().0.to_owned();
        let name = service.server_name("");
        let server = name.map_or_else(|| "none".to_owned(), |name| name.to_string());
        tracing::info!(server, namespace, "the cache starts");
        for warning in &service.config().warnings {
            tracing::warn!("{warning}");
        }
        service.wait_until_synced().await;
        service
    }

    /// Polls a journal from now on, every `CACHE_JOURNAL_POLL_MS`, and
    /// invalidates the keys that instances without a connection to Redis
    /// recorded there. Call it once, before the service is used: after every
    /// suspicion, Redis is trusted only once the journal has been drained. Call it before
    /// repositories are made: their warm-ups read the hot set that the journal keeps, if
    /// Redis has none. Those that are made before are warmed from it too, but
    /// [`is_warm`](Self::is_warm) does not wait for that.
    ///
    /// Returns after the first drain, and after `CACHE_OPERATION_TIMEOUT_MS` at
    /// the latest; at once if Redis is unavailable. A disabled service does not poll the journal, but still
    /// records keys for others. `memory://` does neither, so such a process
    /// must be the only one on its database.
    pub async fn poll_journal(&self, journal: impl Journal) {
        let tiers = self.tiers();
        if !tiers.is_enabled() || !tiers.is_remote() {
            return;
        }
        let was_usable = tiers.is_usable();
        tiers.require_drain();
        let journal = Arc::new(journal);
        tiers.hot_tables.keep_in(journal.clone());
        let (drain, heard) = (Drain::of(journal), Arc::downgrade(tiers));
        tiers.tasks.add("the journal", move || {
            drain::run(Arc::clone(&drain), heard.clone())
        });
        // `connect` has waited for Redis already.
        if was_usable {
            self.wait_until_synced().await;
        }
    }

    /// Waits until Redis is trusted, at most for the timeout of one operation.
    /// Returns true if it is.
    pub(crate) async fn wait_until_synced(&self) -> bool {
        let tiers = self.tiers();
        if !tiers.is_enabled() {
            return false;
        }
        let ready = async {
            while !tiers.is_usable() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(tiers.config.operation_timeout, ready);
        waited.await.is_ok()
    }

    pub(crate) fn downgrade(&self) -> WeakService {
        WeakService(Arc::downgrade(&self.0))
    }

    pub(crate) fn tiers(&self) -> &Arc<Tiers> {
        &self.0.tiers
    }

    /// Returns the time since the service began.
    pub(crate) fn age(&self) -> Duration {
        self.0.begun.elapsed()
    }

    pub(crate) fn counted(&self) -> &Mutex<Option<(Instant, KeyCounts)>> {
        &self.0.counted
    }

    /// Returns the service's settings.
    #[must_use]
    pub fn config(&self) -> &CacheConfig {
        &self.tiers().config
    }

    /// Registers a kind that this process writes but does not read, such as a
    /// job's. Its writes then also invalidate the `dependents` of the strategy.
    /// For a kind that is read here, use
    /// [`CachedRepository::with_strategy`](crate::CachedRepository::with_strategy).
    ///
    /// # Panics
    /// If another type is registered as the same kind, or the name of the kind
    /// does not match `[a-z0-9_-]+`.
    pub fn register<E: Entity>(&self, strategy: impl CacheStrategy<E>) {
        self.tiers().register::<E>(Some(Arc::new(strategy)));
    }

    /// Creates a write for the caller's own transaction; see [`Write`].
    #[must_use]
    pub fn write(&self) -> Write {
        Write::of_caller(Arc::clone(self.tiers()))
    }

    /// Returns the counters since this process began.
    #[must_use]
    pub fn stats(&self) -> ServiceStats {
        ServiceStats::of(self.tiers())
    }

    /// Returns true if values are cached: false with `REDIS_ENABLED=false`, or
    /// with invalid settings.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.tiers().is_enabled()
    }

    /// Compares every hit of a [`CachedQuery`](crate::CachedQuery) with a load from now
    /// on, and panics if they differ. For tests: see `strict` of `aside-testkit`.
    #[doc(hidden)]
    pub fn compare_every_hit(&self) {
        self.tiers().is_strict.store(true, Ordering::Relaxed);
    }

    /// Makes each round trip to `memory://` take this long from now on, in whole
    /// milliseconds of tokio's clock. For simulations under a paused clock.
    #[doc(hidden)]
    pub fn slow_memory(&self, round_trip: Duration) {
        if let Some(subscription) = &self.0.subscription {
            subscription.slow_down(round_trip);
        }
    }

    /// Lets `memory://` hold at most so many bytes from now on. It evicts like a Redis that
    /// is too small. For simulations.
    #[doc(hidden)]
    pub fn limit_memory(&self, bytes: usize) {
        if let Some(subscription) = &self.0.subscription {
            subscription.limit(bytes);
        }
    }

    /// Returns how many pipelines were sent to `memory://`, and how many keys they
    /// read. For simulations.
    #[doc(hidden)]
    #[must_use]
    pub fn memory_traffic(&self) -> (u64, u64) {
        let subscription = self.0.subscription.as_ref();
        subscription.map_or((0, 0), Subscription::traffic)
    }

    /// Returns true if Redis is trusted now.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.tiers().is_usable()
    }

    /// Returns true if the warm-ups of the start are over, or have taken
    /// `CACHE_WARM_UP_DEADLINE`: a service may report that it is ready. Those that begin
    /// later, because Redis was away, are not waited for.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.tiers()
            .warm_ups
            .is_over(self.config().warm_up_deadline)
    }

    /// Returns the progress of the warm-up of the start, by kind.
    #[must_use]
    pub fn warm_ups(&self) -> BTreeMap<String, WarmUpProgress> {
        self.tiers().warm_ups.progress()
    }

    /// Sends pending operations to Redis and writes the hot set, there and beside the journal, within
    /// the timeout of one operation, and closes the connections. Afterwards every read goes to the database.
    ///
    /// Writes that ended ambiguously are not waited for, because their
    /// quarantines expire. Close last: later writes send no invalidations, and
    /// other instances serve their copies until the TTL ends.
    pub async fn close(&self) {
        let tiers = self.tiers();
        self.0.end_audit();
        let deadline = Instant::now() + self.config().operation_timeout;
        while !tiers.is_drained() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Within the same deadline: a Redis that is away does not answer this either.
        let _ = timeout_at(deadline, fleet::withdraw(tiers)).await;
        let hot_sets = tiers.write_last_hot_sets(self.0.begun.elapsed());
        let _ = timeout_at(deadline, hot_sets).await;
        tiers.tasks.close();
        tiers.close_links();
        tiers.broadcaster.close();
    }

    /// Returns true after [`close`](Self::close).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.tiers().broadcaster.is_closed()
    }

    /// Subscribes to invalidations by any instance, this one included. A write
    /// appears once for each of its keys.
    #[must_use]
    pub fn subscribe(&self) -> Invalidations {
        self.tiers().broadcaster.subscribe()
    }

    /// Returns the latest 100 invalidations, oldest first. Call it after
    /// [`subscribe`](Self::subscribe) to miss none; the newest may then appear in
    /// both.
    #[must_use]
    pub fn recent_invalidations(&self) -> Vec<Invalidation> {
        self.tiers().recent_invalidations()
    }

    /// Returns the random id of this instance, which its invalidations carry.
    #[must_use]
    pub fn instance(&self) -> u64 {
        self.tiers().instance
    }

    /// Runs an operation on a key, if the shard of the key may be used.
    async fn ask(&self, op: Op) -> Option<Reply> {
        let tiers = self.tiers();
        if !tiers.is_usable_for(op.key()?) {
            return None;
        }
        tiers.send_one(Traffic::Others, op).await.ok()
    }
}

impl fmt::Debug for CacheService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CacheService")
            .field("tiers", &self.0.tiers)
            .finish()
    }
}
