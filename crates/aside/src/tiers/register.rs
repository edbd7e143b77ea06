//! Registration of kinds and their strategies.

use std::any::{Any, type_name};
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Tiers;
use crate::entity::Entity;
use crate::entity::key::{self, Key};
use crate::entity::strategy::{CacheStrategy, DefaultStrategy};
use crate::insight::statistics::KindStatistics;
use crate::local::{LocalCopy, LocalTier};
use crate::tiers::kind::{AnyKind, Kind};

/// The kind of the lists of ids of another kind.
pub(super) struct Companion {
    /// The strategy of that kind, by its address.
    owner: usize,
    kind: Arc<dyn AnyKind>,
}

/// Returns the name of the share of a kind's lists of ids, one text for each kind.
fn name_of_lists(kind: &'static str) -> &'static str {
    static NAMES: Mutex<BTreeMap<&str, &str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock();
    names
        .entry(kind)
        .or_insert_with(|| Box::leak(format!("{kind} (ids)").into_boxed_str()))
}

impl Tiers {
    /// Returns the kind of `E`, cached by `strategy`; without one, by its
    /// registered strategy, or else by the settings.
    pub(crate) fn register<E: Entity>(
        &self,
        strategy: Option<Arc<dyn CacheStrategy<E>>>,
    ) -> Arc<Kind<E>> {
        check_name(E::KIND);
        let mut kinds = self.kinds.lock();
        let known = kinds.get(E::KIND).cloned();
        let same = known.clone().map(|known| {
            let name = known.type_name();
            let kind = known.as_any().downcast::<Kind<E>>().ok();
            // Each would read the other's values, and miss the other's lists.
            kind.unwrap_or_else(|| {
                panic!(
                    "two types are cached as the kind `{}`: {name} and {}. Give one of them \
                     another #[entity(kind = ...)], or read through one type and map its rows",
                    E::KIND,
                    type_name::<E>()
                )
            })
        });
        match (&same, &strategy) {
            (Some(kind), None) => return Arc::clone(kind),
            (Some(kind), Some(strategy)) if is_same(kind, &**strategy) => {
                return Arc::clone(kind);
            }
            (Some(kind), Some(strategy)) if !is_default(&*kind.strategy) => tracing::warn!(
                kind = E::KIND,
                before = kind.strategy_text,
                after = ?strategy,
                "a new strategy replaces that of a kind, and its local entries are \
                 lost: register one strategy for each kind"
            ),
            _ => {}
        }
        // The counters of a kind survive a change of its strategy.
        let statistics = same.as_ref().map(|kind| kind.counters());
        let kind = self.new_kind(strategy, statistics);
        // A strategy may be registered after the kind, with another TTL.
        if same.is_none_or(|before| before.ttl != kind.ttl) {
            tracing::info!(kind = E::KIND, ttl = ?AnyKind::ttl(&*kind), "caching a kind");
        }
        kinds.insert(E::KIND, Arc::clone(&kind) as _);
        kind
    }

    fn new_kind<E: Entity>(
        &self,
        strategy: Option<Arc<dyn CacheStrategy<E>>>,
        statistics: Option<Arc<KindStatistics>>,
    ) -> Arc<Kind<E>> {
        let strategy = strategy.unwrap_or_else(|| Arc::new(DefaultStrategy));
        let new = || Arc::new(KindStatistics::of(E::INDEXES, E::LIST_ALL));
        let statistics = statistics.unwrap_or_else(new);
        let local = self.local_store(E::KIND, strategy.local_share(), &statistics);
        Arc::new(Kind::new(
            strategy,
            local,
            statistics,
            self.epochs.of(E::KIND),
            &self.config,
            (&self.prefetch, &self.records),
        ))
    }

    /// Returns the kind of the lists of ids of another kind, whose counters and epoch it
    /// shares. A new strategy of that kind makes a new one.
    pub(crate) fn companion<E: Entity>(
        &self,
        owner: usize,
        statistics: Arc<KindStatistics>,
        strategy: impl FnOnce() -> Arc<dyn CacheStrategy<E>>,
    ) -> Arc<Kind<E>> {
        let mut companions = self.companions.lock();
        let known = companions.get(E::KIND);
        let known = known.filter(|companion| companion.owner == owner);
        let known = known.map(|companion| Arc::clone(&companion.kind).as_any());
        if let Some(Ok(kind)) = known.map(Arc::downcast) {
            return kind;
        }
        let strategy = strategy();
        let (name, share) = (name_of_lists(E::KIND), strategy.local_share());
        let local = self.local_entries(name, E::KIND, share, &statistics);
        let epoch = self.epochs.of(E::KIND);
        let kind = Kind::new(
            strategy,
            local,
            statistics,
            epoch,
            &self.config,
            (&self.prefetch, &self.records),
        );
        let kind = Arc::new(kind);
        let companion = Companion {
            owner,
            kind: Arc::clone(&kind) as _,
        };
        companions.insert(E::KIND, companion);
        kind
    }

    /// Returns the number of local entries of a kind, their size, and the number of
    /// evictions, with those of its lists of ids.
    pub(crate) fn local_of(&self, name: &str, kind: &dyn AnyKind) -> (u64, u64, u64) {
        let (entries, bytes, evictions) = kind.local();
        let companions = self.companions.lock();
        let lists = companions.get(name).map(|lists| lists.kind.local());
        let (of_lists, bytes_of_lists, evicted) = lists.unwrap_or_default();
        (
            entries + of_lists,
            bytes + bytes_of_lists,
            evictions + evicted,
        )
    }

    /// Returns the copy of a key in this process, also of a list of ids.
    pub(crate) fn copy_of(&self, name: &str, key: &Key) -> Option<LocalCopy> {
        let prefix = self.prefix(name);
        let text = key.as_str().strip_prefix(&*prefix)?;
        let kind = self.kinds().get(name).cloned()?;
        kind.copy_of(key, text).or_else(|| {
            let companions = self.companions.lock();
            let lists = Arc::clone(&companions.get(name)?.kind);
            drop(companions);
            lists.copy_of(key, text)
        })
    }

    /// Returns the key of a local entry of a kind, also of a list of ids, as its text after
    /// the kind.
    pub(super) fn name_of(&self, name: &str, kind: &dyn AnyKind, hash: u64) -> Option<String> {
        kind.name_of(hash).or_else(|| {
            let companions = self.companions.lock();
            companions.get(name)?.kind.name_of(hash)
        })
    }

    /// Returns the keys of at most `limit` local entries of a kind, with those of its
    /// lists of ids, each as its text after the kind. The keys of the `hot` hashes are
    /// the first, in their order.
    pub(super) fn held_of(
        &self,
        (name, kind): (&str, &dyn AnyKind),
        hot: &[u64],
        limit: usize,
    ) -> Vec<String> {
        let companions = self.companions.lock();
        let lists = companions.get(name).map(|lists| Arc::clone(&lists.kind));
        drop(companions);
        let of_lists = |hash| lists.as_ref()?.held_name(hash);
        let first = hot.iter();
        let first = first.filter_map(|hash| kind.held_name(*hash).or_else(|| of_lists(*hash)));
        let mut held: Vec<String> = first.take(limit).collect();
        held.extend(kind.held(limit - held.len(), hot));
        if let Some(lists) = &lists {
            held.extend(lists.held(limit - held.len(), hot));
        }
        held
    }

    /// Returns the kind that is registered under a name, or registers that of `make`.
    pub(crate) fn register_as(
        &self,
        name: &'static str,
        make: impl FnOnce(&Self) -> Arc<dyn AnyKind>,
    ) -> Arc<dyn AnyKind> {
        check_name(name);
        let mut kinds = self.kinds.lock();
        let kind = kinds.entry(name).or_insert_with(|| make(self));
        Arc::clone(kind)
    }

    /// Returns local entries for the kind of this name; `None` without a local tier.
    pub(crate) fn local_store<E: Entity>(
        &self,
        name: &'static str,
        share: u32,
        statistics: &Arc<KindStatistics>,
    ) -> Option<Arc<LocalTier<E>>> {
        self.local_entries(name, name, share, statistics)
    }

    /// Returns local entries with a share of this name and the epoch of a kind.
    fn local_entries<E: Entity>(
        &self,
        name: &'static str,
        kind: &'static str,
        share: u32,
        statistics: &Arc<KindStatistics>,
    ) -> Option<Arc<LocalTier<E>>> {
        (share > 0 && self.has_local_tier()).then(|| {
            let generations = Arc::clone(&self.generations);
            let statistics = Arc::clone(statistics);
            let store = LocalTier::new(generations, self.epochs.of(kind), statistics);
            let store = Arc::new(store);
            store.join(&self.pools, name, share);
            store
        })
    }

    /// Returns the kind of `E`, if it is registered here.
    pub(crate) fn kind<E: Entity>(&self) -> Option<Arc<Kind<E>>> {
        let kind = self.kinds.lock().get(E::KIND).cloned()?;
        kind.as_any().downcast().ok()
    }

    /// Returns the type that the kind of `E` is cached as, if it is a different
    /// one.
    pub(crate) fn other_type<E: Entity>(&self) -> Option<&'static str> {
        let kind = self.kinds.lock().get(E::KIND).cloned()?;
        let name = kind.type_name();
        kind.as_any().downcast::<Kind<E>>().err().map(|_| name)
    }

    /// Returns the kind of `E` for a write. An unregistered kind is counted,
    /// and logged once.
    pub(crate) fn kind_of_write<E: Entity>(&self) -> Option<Arc<Kind<E>>> {
        let kind = self.kind::<E>();
        if kind.is_none() && self.is_enabled() {
            self.statistics.error("unregistered_kind");
            let first = self.unregistered.lock().insert(E::KIND);
            if let (true, Some(cached)) = (first, self.other_type::<E>()) {
                tracing::error!(
                    kind = E::KIND,
                    rows = type_name::<E>(),
                    cached,
                    "a kind is written through another type than it is cached as: all of the \
                     kind is forgotten at each such write. Record rows of the cached type"
                );
            } else if first {
                tracing::warn!(
                    kind = E::KIND,
                    rows = type_name::<E>(),
                    "a kind is written that is not registered in this process: its rows and \
                     lists are invalidated, the dependents of a strategy are not. Call \
                     `CacheService::register` with the strategy of the services that read it"
                );
            }
        }
        kind
    }
}

fn check_name(name: &str) {
    assert!(
        key::is_plain_name(name) && name != "aside",
        "the kind `{name}` must be of [a-z0-9_-]+, and not `aside`"
    );
}

/// Returns true if the kind is cached by such a strategy: of the same type, and
/// with the same `Debug` text as at registration. The text at registration
/// counts, because a strategy may count calls in its state.
fn is_same<E: Entity>(kind: &Kind<E>, other: &dyn CacheStrategy<E>) -> bool {
    let one: &dyn Any = &*kind.strategy;
    let types = one.type_id() == (other as &dyn Any).type_id();
    types && kind.strategy_text == format!("{other:?}")
}

fn is_default<E: Entity>(strategy: &dyn CacheStrategy<E>) -> bool {
    (strategy as &dyn Any).is::<DefaultStrategy>()
}
