//! Access to a fleet for command lines, which are linked with no service.
//!
//! It learns the kinds, their shapes and their indexes from the announcements of the
//! services in Redis. So keys can be named, explained and invalidated without their Rust types.
//! It announces itself under a name, by which events can be told from those of the
//! services, and is not counted as an instance.

mod facts;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use facts::{ServerFacts, SlowEvent};
use tokio::time::Instant;

use crate::config::CacheConfig;
use crate::config::settings::ConfigError;
use crate::entity::key::{Key, is_plain_name};
use crate::entity::{Fold, IndexShape, listed_id};
use crate::insight::statistics::{KindStatistics, Operation};
use crate::local::LocalCopy;
use crate::protocol::Op;
use crate::protocol::value::{self, FillContext};
use crate::service::CacheService;
use crate::service::fleet::report::{IndexDescription, InstanceReport};
use crate::service::fleet::{self, KnownKind};
use crate::tiers::Tiers;
use crate::tiers::kind::AnyKind;

/// The pause between two looks whether Redis is used.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// How long the epochs of the kinds are waited for: several PINGs.
const EPOCHS_WITHIN: Duration = Duration::from_secs(1);

/// The codes of errors by which a server refuses a user.
const NOT_PERMITTED: [&str; 3] = ["NOAUTH", "WRONGPASS", "NOPERM"];

/// The reason why a command line has no access.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpsError {
    /// The settings are wrong; nothing was tried.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// Redis did not answer in time.
    #[error("cannot reach Redis at {server}: {reason}")]
    Unreachable {
        /// The server, without a password.
        server: String,
        /// The reason, as in the log of a service.
        reason: String,
    },
    /// Redis refuses the user.
    #[error("Redis at {server} refuses this user: {reason}")]
    NotPermitted {
        /// The server, without a password.
        server: String,
        /// The reason, as in the log of a service.
        reason: String,
    },
}

/// Access to the fleet of a Redis and a namespace.
#[derive(Debug)]
pub struct Ops {
    service: CacheService,
}

impl Ops {
    /// Connects to the Redis of the settings, and learns the kinds of its fleet.
    ///
    /// # Errors
    /// As of [`OpsError`]; if Redis is not used within `patience`, with the reason.
    pub async fn connect(config: CacheConfig, patience: Duration) -> Result<Self, OpsError> {
        config.validate()?;
        let config = CacheConfig {
            heartbeat: Duration::ZERO,
            redis_enabled: true,
            ..config
        };
        let ops = Self {
            service: CacheService::connect(config).await,
        };
        ops.wait(patience).await?;
        ops.announce().await;
        ops.learn_kinds().await;
        Ok(ops)
    }

    /// Returns the service that it uses. Its kinds are those of the fleet.
    #[must_use]
    pub fn service(&self) -> &CacheService {
        &self.service
    }

    /// Returns the server as the log names it, without a password.
    #[must_use]
    pub fn server(&self) -> String {
        let found = self.tiers().server_info().address;
        let name = self.service.server_name(&found);
        name.map_or_else(|| "none".to_owned(), |name| name.to_string())
    }

    /// Withdraws its name, and closes the connections.
    pub async fn close(&self) {
        let tiers = self.tiers();
        let key = fleet::fleet_key(tiers);
        let field = fleet::beat::field(tiers);
        let withdraw = Op::Withdraw {
            key: key.clone(),
            field,
        };
        tiers.ask_distrusted(&key, vec![withdraw]).await;
        self.service.close().await;
    }

    fn tiers(&self) -> &Arc<Tiers> {
        self.service.tiers()
    }

    async fn wait(&self, patience: Duration) -> Result<(), OpsError> {
        let begun = Instant::now();
        while !self.service.is_synced() {
            let (reason, _) = self.tiers().outage();
            let is_refused = NOT_PERMITTED.iter().any(|code| reason.contains(code));
            if is_refused || patience <= begun.elapsed() {
                let server = self.server();
                return Err(match is_refused {
                    true => OpsError::NotPermitted { server, reason },
                    false => OpsError::Unreachable { server, reason },
                });
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    /// Announces its name, by which its invalidations are told.
    async fn announce(&self) {
        let tiers = self.tiers();
        let key = fleet::fleet_key(tiers);
        let report = InstanceReport {
            name: format!("cli@{}", fleet::name::of_host()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command_line: true,
            ..InstanceReport::default()
        };
        let announce = Op::Announce {
            key: key.clone(),
            field: fleet::beat::field(tiers),
            report: serde_json::to_string(&report).unwrap_or_default(),
            prunes: false,
        };
        tiers.ask_distrusted(&key, vec![announce]).await;
    }

    /// Registers the kinds of the fleet, each in the shape that was reported last.
    async fn learn_kinds(&self) {
        let Some(fleet) = self.service.fleet().await else {
            return;
        };
        let tiers = self.tiers();
        let mut known = Vec::new();
        for kind in fleet.kinds {
            let is_kind = is_plain_name(&kind.kind) && kind.kind != "aside";
            if is_kind && !tiers.kinds().contains_key(&*kind.kind) {
                let remote = Arc::new(RemoteKind::new(tiers, kind));
                known.push(remote.name);
                tiers.register_as(remote.name, |_| remote);
            }
        }
        let begun = Instant::now();
        let is_unknown = |kind: &&'static str| tiers.epochs.known(kind) == Some(0);
        while known.iter().any(is_unknown) && begun.elapsed() < EPOCHS_WITHIN {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// A kind that only other processes cache.
struct RemoteKind {
    name: &'static str,
    shape: u64,
    ttl: Duration,
    indexes: &'static [IndexShape],
    has_list_of_all: bool,
    statistics: Arc<KindStatistics>,
    epoch: Arc<AtomicU64>,
}

impl RemoteKind {
    /// The names are leaked: a command line has few, and ends soon.
    fn new(tiers: &Tiers, known: KnownKind) -> Self {
        let leaked = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let name = leaked(known.kind);
        let index = |index: IndexDescription| {
            let fields: Vec<&'static str> = index.fields.into_iter().map(leaked).collect();
            let fields = Box::leak(fields.into_boxed_slice());
            let mut shape = IndexShape::new(leaked(index.segment), fields, index.unique);
            shape.has_ids = index.ids;
            if let Some(fold) = index.fold {
                // Without its rule, another key would be invalidated.
                shape.fold = Some(Fold::named(&fold)?);
            }
            Some(shape)
        };
        let indexes: Vec<IndexShape> = known.indexes.into_iter().filter_map(index).collect();
        Self {
            name,
            shape: known.shape,
            ttl: known.ttl,
            indexes: Box::leak(indexes.into_boxed_slice()),
            has_list_of_all: known.has_list_of_all,
            statistics: Arc::new(KindStatistics::new()),
            epoch: tiers.epochs.of(name),
        }
    }
}

impl AnyKind for RemoteKind {
    fn operations(&self) -> &'static [(Operation, &'static str)] {
        &[]
    }

    fn spoilt(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    fn type_name(&self) -> &'static str {
        "a kind of other processes"
    }

    fn indexes(&self) -> &'static [IndexShape] {
        self.indexes
    }

    fn has_list_of_all(&self) -> bool {
        self.has_list_of_all
    }

    fn statistics(&self) -> &KindStatistics {
        &self.statistics
    }

    fn counters(&self) -> Arc<KindStatistics> {
        Arc::clone(&self.statistics)
    }

    fn ttl(&self) -> Duration {
        self.ttl
    }

    fn shape(&self) -> u64 {
        self.shape
    }

    fn conditions(&self, key: &Key, history: u64) -> FillContext {
        let shape = match listed_id::is_key_of_list(self.name, self.indexes, key) {
            true => listed_id::fingerprint_of_ids(self.shape),
            false => self.shape,
        };
        FillContext {
            history,
            epoch: self.epoch.load(Ordering::Acquire),
            shape: value::mixed(shape, key),
        }
    }

    fn local(&self) -> (u64, u64, u64) {
        (0, 0, 0)
    }

    fn copy_of(&self, _: &Key, _: &str) -> Option<LocalCopy> {
        None
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
