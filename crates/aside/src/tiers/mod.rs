//! The tiers together: what every read and every write of one service shares.

pub(crate) mod listeners;
pub(crate) mod origin_guard;
pub(crate) mod own_journal_rows;
pub(crate) mod pending;
pub(crate) mod shard;
pub(crate) mod tasks;
pub(crate) mod uncacheable;
pub(crate) mod kind;

mod breaking;
mod epochs;
mod hear;
mod invalidate;
mod register;
mod scan;
mod shards;
mod sweeps;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::answer::Bypass;
use crate::config::CacheConfig;
use crate::entity::key::Key;
use crate::insight::audit::{Audit, Event};
use crate::insight::statistics::ServiceStatistics;
use crate::local::Shares;
use crate::tiers::kind::AnyKind;
use crate::tiers::listeners::Teller;
use crate::tiers::origin_guard::{OriginGuard, Place};
use crate::tiers::own_journal_rows::Journalled;
use crate::tiers::shard::Shard;
use crate::tiers::tasks::Tasks;
use crate::tiers::uncacheable::Uncacheable;
use crate::trust::epochs::Epochs;
use crate::trust::generations::Stripes;
use crate::trust::unreleased::Held;

/// What every read and every write of one service shares.
pub(crate) struct Tiers {
    pub(crate) config: CacheConfig,
    /// Names this service among all that share a Redis.
    pub(crate) instance: u64,
    shard: Arc<Shard>,
    pub(crate) stripes: Arc<Stripes>,
    pub(crate) held: Held,
    pub(crate) uncacheable: Uncacheable,
    pub(crate) journalled: Arc<Journalled>,
    pub(crate) epochs: Epochs,
    pub(crate) teller: Teller,
    pub(crate) statistics: Arc<ServiceStatistics>,
    pub(crate) tasks: Arc<Tasks>,
    /// `None` where nothing is audited.
    pub(crate) audit: Option<Arc<Audit>>,
    shares: Shares,
    kinds: Mutex<BTreeMap<&'static str, Arc<dyn AnyKind>>>,
    /// Kinds written here of which no strategy is known; each is logged once.
    unregistered: Mutex<BTreeSet<&'static str>>,
    pub(crate) origin: OriginGuard,
    sweeps: sweeps::Sweeps,
}

impl Tiers {
    pub(crate) fn new(
        config: CacheConfig,
        instance: u64,
        shard: Shard,
        stripes: Arc<Stripes>,
    ) -> Self {
        let statistics = Arc::clone(&shard.statistics);
        let epochs = Epochs::new(shard.link.is_remote());
        Self {
            tasks: Tasks::new(Arc::clone(&shard.link), Arc::clone(&statistics)),
            statistics,
            instance,
            shard: Arc::new(shard),
            uncacheable: Uncacheable::new(Arc::clone(&stripes)),
            stripes,
            held: Held::default(),
            journalled: Arc::default(),
            epochs,
            teller: Teller::new(),
            audit: Audit::new(&config),
            shares: Shares::new(config.l1_capacity_bytes),
            kinds: Mutex::default(),
            unregistered: Mutex::default(),
            origin: OriginGuard::new(config.source_concurrency),
            sweeps: sweeps::Sweeps::default(),
            config,
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.config.namespace
    }

    /// Throws away what is held in process when the generation of a shard has gone
    /// through half of its bits. Called far more often than it can.
    pub(crate) fn end_round(&self) {
        for shard in self.shards() {
            if shard.ends_half_a_round() {
                self.shares.empty();
            }
        }
    }

    /// Whether this process keeps entries of its own.
    pub(crate) fn has_in_process(&self) -> bool {
        !self.config.max_staleness.is_zero() && self.is_enabled()
    }

    /// Why a key may not be read from Redis now, if so. Asked after the stamp
    /// was taken: whoever has the new generation must see the key held.
    pub(crate) fn closed(&self, key: &Key) -> Option<Bypass> {
        if !self.is_enabled() {
            Some(Bypass::Disabled)
        } else if !self.is_usable_for(key) {
            Some(Bypass::RedisUnavailable)
        } else if self.held.contains(key) {
            Some(Bypass::Held)
        } else {
            None
        }
    }

    /// The beginning of every key of a kind.
    pub(crate) fn prefix(&self, kind: &str) -> String {
        let separator = if self.namespace().is_empty() { "" } else { ":" };
        format!("{}{separator}{kind}:", self.namespace())
    }

    /// Notes what happened to a key, for whoever finds it wrong.
    pub(crate) fn note(&self, key: &Key, event: Event) {
        if let Some(audit) = &self.audit {
            audit.note(key.hash(), event);
        }
    }

    /// Waits for a place at the database while Redis is away; `None` if there was
    /// none in time.
    pub(crate) async fn place_at_source(&self) -> Option<Arc<Place>> {
        let place = self.origin.place().await;
        if place.is_none() {
            self.statistics.error("source_overloaded");
        }
        place
    }

    /// Every kind that is cached here.
    pub(crate) fn kinds(&self) -> BTreeMap<&'static str, Arc<dyn AnyKind>> {
        self.kinds.lock().clone()
    }

    /// The kind that a raw key belongs to, if it is cached here.
    pub(crate) fn kind_of(&self, key: &str) -> Option<&'static str> {
        let kinds = self.kinds.lock();
        kinds
            .keys()
            .copied()
            .find(|kind| key.starts_with(&self.prefix(kind)))
    }
}

impl fmt::Debug for Tiers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tiers")
            .field("instance", &self.instance)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}
