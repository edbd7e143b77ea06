//! The tiers and the connection, shared by every cached repository.

pub(crate) mod metrics;
pub(crate) mod report;
pub(crate) mod named;

#[cfg(test)]
mod hearing_tests;
mod keys;
mod connect;
mod start;

pub use keys::Ttl;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::CacheConfig;
use crate::config::credentials::{CredentialsProvider, Provider};
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::strategy::CacheStrategy;
use crate::memory::Subscription;
use crate::protocol::{Op, Reply, Traffic};
use crate::recovery::drain::{self, Drain};
use crate::recovery::journal::Journal;
use crate::service::report::{Explained, Health, HealthStatus, KeyCounts, ServiceStats, State};
use crate::tiers::Tiers;
use crate::tiers::listeners::Listener;
use crate::write::Write;

/// The tiers and the connection. Clones share them.
///
/// None of its operations fails: a Redis that is away makes them answer that
/// there is nothing. None takes longer than `CACHE_OPERATION_TIMEOUT_MS`,
/// apart from those that go through all keys, which take that long for each
/// page of 500; and none uses `KEYS` or `FLUSHDB`.
///
/// Dropping the last clone, of the service and of the repositories around it,
/// ends its tasks and connections.
#[derive(Clone)]
pub struct CacheService(Arc<Service>);

struct Service {
    tiers: Arc<Tiers>,
    /// The keys of each kind, as they were last counted, and when.
    counted: Mutex<Option<(Instant, KeyCounts)>>,
    /// Ends the hearing of messages with the service.
    _subscription: Option<Subscription>,
}

/// A service that may have gone meanwhile.
#[derive(Clone)]
pub(crate) struct WeakService(Weak<Service>);

impl WeakService {
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
    /// Connects, and begins to hear what others forget.
    ///
    /// Redis away gives a service all the same: it answers from the database
    /// and connects in the background. This returns when the service is in
    /// step with Redis, and at the latest after `CACHE_OPERATION_TIMEOUT_MS`.
    /// Settings that cannot work, which [`CacheConfig::validate`] refuses,
    /// are logged, and nothing is cached.
    pub async fn connect(config: CacheConfig) -> Self {
        Self::connect_as(config, None).await
    }

    /// The same with credentials that do not last, such as the tokens of a
    /// cloud: `provider` is asked at each connection. What it gives takes the
    /// place of any user and password in `config`.
    ///
    /// Connections that are open stay as they are. Where the server closes one
    /// because its token has expired, the next one authenticates anew; as long
    /// as that takes, a fraction of a second, reads come from the database.
    pub async fn connect_with(config: CacheConfig, provider: impl CredentialsProvider) -> Self {
        Self::connect_as(config, Some(Provider::new(provider))).await
    }

    async fn connect_as(config: CacheConfig, provider: Option<Provider>) -> Self {
        let service = Self::start(&config, provider);
        let namespace = service.tiers().namespace().to_owned();
        let shared = service.tiers().shown();
        tracing::info!(shared, namespace, "the cache starts");
        service.wait_until_synced().await;
        service
    }

    /// Reads a journal from now on, every `CACHE_JOURNAL_POLL_MS`, and makes
    /// every copy forget what others wrote there because they did not reach
    /// Redis. To be called once, before the service is used: Redis is trusted
    /// again only when the journal has been worked off after every suspicion.
    ///
    /// This returns when it has been for the first time, and at the latest
    /// after `CACHE_OPERATION_TIMEOUT_MS`. A service that is switched off reads
    /// no journal, and writes there for others. `memory://` does neither: such
    /// a process needs the database to itself.
    pub async fn drain(&self, journal: impl Journal) {
        let tiers = self.tiers();
        if !tiers.is_enabled() || !tiers.is_remote() {
            return;
        }
        tiers.require_drain();
        let (drain, heard) = (Drain::of(journal), Arc::downgrade(tiers));
        tiers.tasks.add("the journal", move || {
            drain::run(Arc::clone(&drain), heard.clone())
        });
        self.wait_until_synced().await;
    }

    async fn wait_until_synced(&self) {
        let tiers = self.tiers();
        if !tiers.is_enabled() {
            return;
        }
        let ready = async {
            while !tiers.is_usable() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = tokio::time::timeout(tiers.config.operation_timeout, ready).await;
    }

    pub(crate) fn downgrade(&self) -> WeakService {
        WeakService(Arc::downgrade(&self.0))
    }

    pub(crate) fn tiers(&self) -> &Arc<Tiers> {
        &self.0.tiers
    }

    pub(crate) fn counted(&self) -> &Mutex<Option<(Instant, KeyCounts)>> {
        &self.0.counted
    }

    /// The settings it was made with.
    #[must_use]
    pub fn config(&self) -> &CacheConfig {
        &self.tiers().config
    }

    /// Registers a kind that this process writes and does not read, as a job
    /// does: its writes then invalidate what the strategy's `dependents` name.
    /// [`CachedRepository::with_strategy`](crate::CachedRepository::with_strategy)
    /// does the same for a kind that is read here as well.
    ///
    /// # Panics
    /// If another type is registered under the same kind, or the kind's name
    /// is not of `[a-z0-9_-]+`.
    pub fn register<E: Entity>(&self, strategy: impl CacheStrategy<E>) {
        self.tiers().register::<E>(Some(Arc::new(strategy)));
    }

    /// A write whose transaction is the caller's own; see [`Write`].
    #[must_use]
    pub fn write(&self) -> Write {
        Write::of_caller(Arc::clone(self.tiers()))
    }

    /// How the cache is: Redis is asked, within the deadline of one operation.
    pub async fn health_check(&self) -> Health {
        let tiers = self.tiers();
        let begun = Instant::now();
        let probe = Key::new(&format!("{}health", tiers.prefix("aside")));
        let answered = self.ask(Op::Exists { key: probe }).await.is_some();
        let status = match (tiers.is_enabled(), answered) {
            (false, _) => HealthStatus::Disabled,
            (true, true) => HealthStatus::Healthy,
            (true, false) => HealthStatus::Unavailable,
        };
        let server = tiers.server_info();
        Health {
            status,
            latency: answered.then(|| begun.elapsed()),
            breaker: tiers.breaker_state(),
            connections: tiers.connections(),
            held_keys: tiers.held.len(),
            server_version: server.version,
            used_memory_bytes: server.used_memory_bytes,
            evicted_keys: server.evicted_keys,
            reason: (status == HealthStatus::Unavailable).then(|| tiers.reason()),
        }
    }

    /// What was counted since this process began.
    #[must_use]
    pub fn stats(&self) -> ServiceStats {
        ServiceStats::of(self.tiers())
    }

    /// Whether values may come from Redis now.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.tiers().is_usable()
    }

    /// What is known of one key, as it stands in Redis. Of a key that belongs to
    /// no kind that is cached here, nor to the library, Redis is not asked.
    pub async fn explain(&self, key: &str) -> Explained {
        let tiers = self.tiers();
        let kind = tiers.kind_of(key);
        if kind.is_none() && !key.starts_with(&tiers.prefix("aside")) {
            return Explained::not_ours(key);
        }
        let named = Key::new(key);
        let bypass = tiers.closed(&named).map(crate::answer::Bypass::as_str);
        let get = Op::Get { key: named.clone() };
        let state = match self.ask(get).await {
            Some(Reply::Value(bytes)) => Some(State::of(&named, bytes.as_deref())),
            // No value that would be served.
            Some(Reply::Cut(_)) => Some(State::Foreign),
            _ => None,
        };
        let ttl = self.ttl(key).await.left();
        Explained {
            key: key.to_owned(),
            kind,
            state,
            ttl,
            bypass,
        }
    }

    /// Sends what is still owed to Redis, within the deadline of one
    /// operation, and ends its connections. Afterwards every read goes to the
    /// database.
    ///
    /// A write that ended ambiguously is not waited for: its quarantine ends
    /// by itself. Close last: a write made afterwards is told to nobody, and
    /// other instances serve what they hold until its TTL.
    pub async fn close(&self) {
        let tiers = self.tiers();
        self.0.end_audit();
        let deadline = Instant::now() + self.config().operation_timeout;
        while !tiers.owes_nothing() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tiers.tasks.close();
        tiers.close_links();
        tiers.teller.close();
    }

    /// Listens to what is made to be forgotten from now on, here or on any
    /// other instance. A write is heard once for each key it touches.
    #[must_use]
    pub fn listen(&self) -> Listener {
        self.tiers().teller.listener()
    }

    async fn ask(&self, op: Op) -> Option<Reply> {
        let tiers = self.tiers();
        if !tiers.is_usable() {
            return None;
        }
        tiers.ask_one(Traffic::Others, op).await.ok()
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
