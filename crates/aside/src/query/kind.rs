//! One query in the tiers: its settings, counters, local entries and flights. To
//! operators it is a kind.

use std::any::{Any, TypeId, type_name};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::entity::IndexShape;
use crate::entity::key::{Key, hash};
use crate::insight::statistics::{KindStatistics, Operation};
use crate::local::flight::{self, Flights};
use crate::local::{LocalCopy, LocalTier};
use crate::protocol::value::{self, FillContext};
use crate::query::asked::QueryContext;
use crate::query::kept::Kept;
use crate::runtime::clock::whole_millis;
use crate::tiers::Tiers;
use crate::tiers::kind::{AnyKind, FlightResult, LoadPace};

/// The TTL of a query whose caller and operator gave none: a dependency may have been
/// forgotten.
const DEFAULT_TTL: Duration = Duration::from_secs(60);

/// The counter of reads, which the statistics of every kind have.
pub(super) const READ: Operation = Operation::FindById;

/// Flights of one query and one error type: apart for different dependencies, because
/// a value found by one of them may not count for another.
pub(super) type QueryFlights<T, X> =
    Flights<(Key, u64), QueryContext, Arc<FlightResult<T, Arc<X>>>>;

pub(super) type Leader<T, X> =
    flight::Leader<(Key, u64), QueryContext, Arc<FlightResult<T, Arc<X>>>>;

/// The text of a result, in JSON.
pub(super) struct Codec<T> {
    pub(super) encode: fn(&T) -> serde_json::Result<String>,
    pub(super) decode: fn(&str) -> serde_json::Result<T>,
}

impl<T: Serialize + DeserializeOwned> Codec<T> {
    pub(super) fn new() -> Self {
        Self {
            encode: |value| serde_json::to_string(value),
            decode: |text| serde_json::from_str(text),
        }
    }
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Codec<T> {}

/// One query.
pub(super) struct QueryKind<T: Send + Sync + 'static> {
    pub(super) name: &'static str,
    /// The types of its parameters and its value.
    types: (TypeId, &'static str),
    /// The text of its results; `None` for one that lives in this process alone.
    pub(super) codec: Option<Codec<T>>,
    pub(super) statistics: Arc<KindStatistics>,
    pub(super) local: Option<Arc<LocalTier<Kept<T>>>>,
    /// Its own epoch; zero until it is known.
    pub(super) epoch: Arc<AtomicU64>,
    /// In milliseconds; zero for the default.
    ttl: AtomicU64,
    /// How long a value is served after a write outdated it, in milliseconds.
    tolerates: AtomicU64,
    ttl_of_operator: Option<Duration>,
    default_ttl: Duration,
    /// A number that its caller raises when the meaning of the value changes.
    shape: AtomicU64,
    pub(super) max_value_bytes: usize,
    pub(super) compress_above: Option<usize>,
    pub(super) pace: LoadPace,
    /// True if a value could not be cached; logged once.
    pub(super) is_told: AtomicBool,
    spoilt: Mutex<BTreeMap<String, u64>>,
    flights: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl<T: Send + Sync + 'static> QueryKind<T> {
    /// Returns the query of this name, registered on first use.
    ///
    /// # Panics
    /// If the name is not plain, or another kind or query has it.
    pub(super) fn register<K: 'static>(
        tiers: &Tiers,
        name: &'static str,
        codec: Option<Codec<T>>,
    ) -> Arc<Self> {
        let types = (TypeId::of::<(K, T)>(), type_name::<(K, T)>());
        let known = tiers.register_as(name, |tiers| {
            let config = &tiers.config;
            tracing::info!(query = name, "caching a query");
            let statistics = Arc::new(KindStatistics::new());
            Arc::new(Self {
                name,
                types,
                codec,
                local: tiers.local_store(name, 1, &statistics),
                statistics,
                epoch: tiers.epochs.of(name),
                ttl: AtomicU64::new(0),
                tolerates: AtomicU64::new(0),
                ttl_of_operator: config.ttl_of(name),
                default_ttl: config.default_ttl.min(DEFAULT_TTL),
                shape: AtomicU64::new(0),
                max_value_bytes: config.max_value_bytes,
                compress_above: config.compress_above_bytes,
                pace: LoadPace::default(),
                is_told: AtomicBool::new(false),
                spoilt: Mutex::default(),
                flights: Mutex::default(),
            })
        });
        let before = known.type_name();
        let same = known.as_any().downcast::<Self>().ok();
        let same = same.filter(|kind| kind.types == types);
        let same = same.filter(|kind| kind.codec.is_some() == codec.is_some());
        // Each would read the other's values.
        same.unwrap_or_else(|| {
            panic!(
                "two queries or kinds are called `{name}`: {before} and {}. Give one of them \
                 another name",
                types.1
            )
        })
    }

    pub(super) fn set_ttl(&self, ttl: Duration) {
        self.ttl.store(whole_millis(ttl).max(1), Ordering::Relaxed);
    }

    pub(super) fn set_tolerates(&self, limit: Duration) {
        self.tolerates.store(whole_millis(limit), Ordering::Relaxed);
    }

    /// Returns until how long after its load an outdated value is served.
    pub(super) fn tolerates(&self) -> Option<Duration> {
        match self.tolerates.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    pub(super) fn set_shape(&self, shape: u64) {
        self.shape.store(shape, Ordering::Relaxed);
    }

    /// Returns the TTL: the operator's, or the caller's, or the default.
    pub(super) fn ttl(&self) -> Duration {
        let own = match self.ttl.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        };
        self.ttl_of_operator.or(own).unwrap_or(self.default_ttl)
    }

    /// Returns the fingerprint of the value. A type name that another compiler writes
    /// differently costs a miss.
    pub(super) fn shape(&self) -> u64 {
        let shape = self.shape.load(Ordering::Relaxed);
        hash(&format!("{} {} {shape}", self.name, type_name::<T>()))
    }

    /// Counts a value that a dependency had outdated.
    pub(super) fn count_spoilt(&self, dependency: String) {
        *self.spoilt.lock().entry(dependency).or_default() += 1;
    }

    /// Returns the flights that share errors of type `X`.
    pub(super) fn flights<X: Send + Sync + 'static>(&self) -> Arc<QueryFlights<T, X>> {
        let mut flights = self.flights.lock();
        let any = flights
            .entry(TypeId::of::<X>())
            .or_insert_with(|| Arc::new(QueryFlights::<T, X>::new()));
        Arc::clone(any)
            .downcast()
            .expect("stored under its own type")
    }
}

impl<T: Send + Sync + 'static> AnyKind for QueryKind<T> {
    fn operations(&self) -> &'static [(Operation, &'static str)] {
        &[(READ, "query")]
    }

    fn spoilt(&self) -> BTreeMap<String, u64> {
        self.spoilt.lock().clone()
    }

    fn type_name(&self) -> &'static str {
        self.types.1
    }

    fn indexes(&self) -> &'static [IndexShape] {
        &[]
    }

    fn has_list_of_all(&self) -> bool {
        false
    }

    fn statistics(&self) -> &KindStatistics {
        &self.statistics
    }

    fn counters(&self) -> Arc<KindStatistics> {
        Arc::clone(&self.statistics)
    }

    fn ttl(&self) -> Duration {
        self.ttl()
    }

    fn shape(&self) -> u64 {
        self.shape()
    }

    fn conditions(&self, key: &Key, history: u64) -> FillContext {
        // The epoch first, as for a row.
        let epoch = self.epoch.load(Ordering::Acquire);
        FillContext {
            history,
            epoch,
            shape: value::mixed(self.shape(), key),
        }
    }

    fn local(&self) -> (u64, u64, u64) {
        let store = self.local.as_ref();
        store.map_or((0, 0, 0), |store| {
            (store.len(), store.bytes(), store.evictions())
        })
    }

    fn name_of(&self, hash: u64) -> Option<String> {
        self.local.as_ref()?.name_of(hash)
    }

    fn copy_of(&self, key: &Key, text: &str) -> Option<LocalCopy> {
        let local = self.local.as_ref()?;
        local.copy_of(key.hash(), text, |entry, generations| {
            let kept = entry.row();
            kept.is_some_and(|kept| kept.is_current(generations))
        })
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
