//! The tiers and the connection, shared by every cached repository.

mod keys;

pub use keys::Ttl;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::address::Address;
use crate::config::CacheConfig;
use crate::entity::Entity;
use crate::heard::Listener;
use crate::inspect::{Explained, Health, HealthStatus, ServiceStats, State};
use crate::journal::{self, Journal};
use crate::key::Key;
use crate::link::Link;
use crate::message;
use crate::releases;
use crate::shared::lanes::{self, RedisTier};
use crate::shared::memory::{MemoryTier, Subscription};
use crate::shared::redis::Endpoint;
use crate::shared::{OnMessage, Op, Reply, SharedTier};
use crate::strategy::CacheStrategy;
use crate::stripes::Stripes;
use crate::task;
use crate::tiers::Tiers;
use crate::watcher::{self, SharedInfo};
use crate::write::Write;

/// What `memory://` may hold, in bytes.
const MEMORY_LIMIT_BYTES: usize = 256 * 1024 * 1024;

/// The most connections that carry commands.
const MOST_LANES: usize = 4;

/// The bound on in-process staleness that the link is measured by where the
/// in-process tier is switched off.
const BOUND_WITHOUT_IN_PROCESS: Duration = Duration::from_millis(500);

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
    server: SharedInfo,
    tasks: Mutex<Vec<AbortHandle>>,
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
        for task in self.tasks.lock().iter() {
            task.abort();
        }
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
        let service = Self::start(&config);
        let tier = service
            .tiers()
            .shared
            .as_ref()
            .map(|shared| format!("{shared:?}"));
        let namespace = service.tiers().namespace().to_owned();
        tracing::info!(
            shared = tier.as_deref().unwrap_or("none"),
            namespace,
            "the cache starts"
        );
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
        if tiers.shared.is_none() || !tiers.link.is_remote() {
            return;
        }
        tiers.link.require_drain();
        let draining = journal::run(journal, Arc::downgrade(tiers));
        self.0
            .tasks
            .lock()
            .push(task::spawn(draining).abort_handle());
        self.wait_until_synced().await;
    }

    async fn wait_until_synced(&self) {
        let tiers = self.tiers();
        if tiers.shared.is_none() {
            return;
        }
        let ready = async {
            while !tiers.is_usable() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = tokio::time::timeout(tiers.config.operation_timeout, ready).await;
    }

    fn start(config: &CacheConfig) -> Self {
        let stripes = Arc::new(Stripes::new());
        let bound = match config.max_staleness {
            Duration::ZERO => BOUND_WITHOUT_IN_PROCESS,
            bound => bound,
        };
        let target = config.validate().and_then(|()| config.target());
        let (releases, arrivals) = mpsc::unbounded_channel();
        let instance = fastrand::u64(..);
        let server = SharedInfo::default();
        let mut tasks = Vec::new();
        let with = |shared, link| {
            Arc::new(Tiers::new(
                config.clone(),
                instance,
                shared,
                link,
                Arc::clone(&stripes),
                releases,
            ))
        };
        let mut subscription = None;
        let tiers = match target {
            _ if !config.redis_enabled => {
                tracing::warn!(
                    "caching is off here: instances that cache do not hear of writes made by \
                     this one, and serve what they hold until its TTL"
                );
                with(None, Arc::new(Link::new(Arc::clone(&stripes), bound)))
            }
            Err(problems) => {
                tracing::error!(%problems, "nothing is cached: the settings cannot work");
                with(None, Arc::new(Link::new(Arc::clone(&stripes), bound)))
            }
            Ok(target) => {
                if let Address::Memory(name) = &target.address {
                    let memory = match name {
                        Some(name) => MemoryTier::named(name, MEMORY_LIMIT_BYTES),
                        None => MemoryTier::private(MEMORY_LIMIT_BYTES),
                    };
                    let shared: Arc<dyn SharedTier> = Arc::clone(&memory) as _;
                    let tiers = with(Some(shared), Arc::new(Link::always(Arc::clone(&stripes))));
                    let heard = Arc::downgrade(&tiers);
                    let on_message: OnMessage = Arc::new(move |text| {
                        if let Some(tiers) = heard.upgrade() {
                            tiers.hear(text);
                        }
                    });
                    subscription = Some(memory.subscribe(on_message));
                    tiers
                } else {
                    // One connection of the permitted number is the watcher's.
                    let count = config.redis_max_connections.saturating_sub(1);
                    let channel = message::channel(&config.namespace);
                    let link = Arc::new(Link::new(Arc::clone(&stripes), bound));
                    let redis = Arc::new(RedisTier::new(
                        count.min(MOST_LANES),
                        channel,
                        config.operation_timeout,
                        Arc::clone(&link),
                    ));
                    let shared: Arc<dyn SharedTier> = Arc::clone(&redis) as _;
                    let tiers = with(Some(shared), link);
                    let endpoint = Endpoint {
                        target,
                        tls_ca: config.redis_tls_ca.clone(),
                        tls_cert: config.redis_tls_cert.clone(),
                        tls_key: config.redis_tls_key.clone(),
                        connect_timeout: config.redis_socket_timeout,
                    };
                    let silence = config.redis_socket_timeout;
                    for lane in redis.lanes() {
                        let (lane, link) = (Arc::clone(lane), Arc::clone(&tiers.link));
                        let open = lanes::keep_open(lane, endpoint.clone(), link, silence);
                        tasks.push(task::spawn(open).abort_handle());
                    }
                    let link = Arc::clone(&tiers.link);
                    let (heard, info) = (Arc::downgrade(&tiers), Arc::clone(&server));
                    let lane = Arc::clone(redis.watched());
                    let watch = watcher::run(endpoint, link, lane, heard, info, silence);
                    tasks.push(task::spawn(watch).abort_handle());
                    tiers
                }
            }
        };
        let pending = releases::run(arrivals, Arc::downgrade(&tiers));
        tasks.push(task::spawn(pending).abort_handle());
        Self(Arc::new(Service {
            tiers,
            server,
            tasks: Mutex::new(tasks),
            _subscription: subscription,
        }))
    }

    pub(crate) fn downgrade(&self) -> WeakService {
        WeakService(Arc::downgrade(&self.0))
    }

    pub(crate) fn tiers(&self) -> &Arc<Tiers> {
        &self.0.tiers
    }

    pub(crate) fn server(&self) -> &SharedInfo {
        &self.0.server
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
        let status = match (&tiers.shared, answered) {
            (None, _) => HealthStatus::Disabled,
            (Some(_), true) => HealthStatus::Healthy,
            (Some(_), false) => HealthStatus::Unavailable,
        };
        let server = self.0.server.lock().clone().unwrap_or_default();
        Health {
            status,
            latency: answered.then(|| begun.elapsed()),
            breaker: tiers.breaker.state(),
            connections: tiers
                .shared
                .as_ref()
                .map_or(0, |shared| shared.connections()),
            held_keys: tiers.held.len(),
            server_version: server.version,
            used_memory_bytes: server.used_memory_bytes,
            evicted_keys: server.evicted_keys,
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

    /// What is known of one key, as it stands in Redis.
    pub async fn explain(&self, key: &str) -> Explained {
        let tiers = self.tiers();
        let held = Key::new(key);
        let bypass = tiers.closed(&held).map(crate::answer::Bypass::as_str);
        let state = match self.ask(Op::Get { key: held }).await {
            Some(Reply::Value(bytes)) => Some(State::of(bytes.as_deref())),
            _ => None,
        };
        let (kind, ttl) = (tiers.kind_of(key), self.ttl(key).await.left());
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
        for task in self.0.tasks.lock().iter() {
            task.abort();
        }
        tiers.link.close();
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
        tiers.ask_one(tiers.lane(), op).await.ok()
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
