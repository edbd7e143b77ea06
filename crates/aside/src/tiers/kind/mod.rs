//! One kind of row in the tiers: its strategy, shape, counters and local
//! entries.

mod any;
mod pace;
mod lifetime;
mod flights;
mod leaving;
mod names;
mod shown;
mod writing;
mod keeping;

use std::any::{Any, TypeId, type_name};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::answer::{Missed, Provenance, Tier};
use crate::config::CacheConfig;
use crate::entity::codec::CodecError;
use crate::entity::key::{self, Key};
use crate::entity::listed_id::{self, ListedId};
use crate::entity::lookup::{Found, LookupRef};
use crate::entity::strategy::CacheStrategy;
use crate::entity::{Entity, IndexShape};
use crate::insight::records::Records;
use crate::insight::statistics::{KindStatistics, Operation};
use crate::local::{LocalCopy, LocalTier};
use crate::prefetch::Prefetch;
use crate::protocol::value::{self, FillContext, Header, Unacceptable};
use crate::trust::generations::Stamp;

pub(crate) use any::{AnyKind, Policy};
use flights::AnyFlights;
pub(crate) use flights::{Failed, FlightResult, KindFlights};
pub(crate) use leaving::Leaving;
use names::Names;
pub(crate) use pace::LoadPace;
pub(crate) use shown::{ReadBack, Shown};
pub(crate) use writing::Encoded;
use writing::Losses;

/// The operations of a repository.
const OPERATIONS: [(Operation, &str); 5] = {
    let [one, two, three, four, five] = Operation::ALL;
    [
        (one, one.as_str()),
        (two, two.as_str()),
        (three, three.as_str()),
        (four, four.as_str()),
        (five, five.as_str()),
    ]
};

/// The generations and conditions under which a flight runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadContext {
    pub(crate) stamp: Stamp,
    pub(crate) fill_context: FillContext,
}

/// A value that Redis has, or has just been given.
pub(crate) struct Cached<E> {
    pub(crate) found: Found<E>,
    /// When it was loaded from the database, in Unix milliseconds.
    pub(crate) loaded_at: i64,
    /// Its remaining time to live.
    pub(crate) ttl: Duration,
    /// Its whole time to live, as in the value.
    pub(crate) lifetime: Duration,
    /// True if a reader refreshes it, or has tried to.
    pub(crate) is_claimed: bool,
    pub(crate) fill: u64,
    /// The hash of its text.
    pub(crate) body: u64,
    pub(crate) payload_bytes: usize,
}

impl<E> Cached<E> {
    pub(crate) fn provenance(&self) -> Provenance {
        Provenance {
            tier: Tier::Shared,
            bypass: None,
            loaded_at: self.loaded_at,
            ttl: Some(self.ttl),
            fill: Some(self.fill),
            missed: Missed::Cold,
        }
    }

    /// The same for readers that wait for the flight that found it.
    pub(crate) fn flight_result<X>(&self) -> FlightResult<E, X> {
        FlightResult::new(Ok(self.found.clone()), self.provenance())
    }
}

/// One kind of row.
pub(crate) struct Kind<E: Entity> {
    pub(crate) strategy: Arc<dyn CacheStrategy<E>>,
    /// The strategy's `Debug` text when it was registered.
    pub(crate) strategy_text: String,
    pub(crate) statistics: Arc<KindStatistics>,
    pub(crate) local: Option<Arc<LocalTier<E>>>,
    /// Field values that reads have returned, of rows left by writes.
    pub(crate) shown: Shown<E>,
    /// The epoch of the kind; zero until it is known.
    epoch: Arc<AtomicU64>,
    shape: u64,
    pub(crate) ttl: Duration,
    /// The time limit of a load.
    pub(crate) load_timeout: Duration,
    /// True if the last load exceeded it.
    pub(crate) overdue: AtomicBool,
    /// True if `find_many` has returned another number of rows than requested.
    pub(crate) miscounted: AtomicBool,
    /// The reasons why values could not be cached, as bits.
    uncacheable: AtomicU16,
    max_value_bytes: usize,
    compress_above: Option<usize>,
    /// Rows that changed in the round trip through their text.
    losses: Losses,
    /// How the database compares names.
    names: Names,
    /// True if the last value read could not be decoded.
    undecodable: AtomicBool,
    pace: LoadPace,
    /// Of the service.
    prefetch: Arc<Prefetch>,
    records: Arc<Records>,
    /// Flights by the error type that they share.
    flights: Mutex<HashMap<TypeId, Arc<dyn AnyFlights<E>>>>,
}

impl<E: Entity> Kind<E> {
    pub(crate) fn new(
        strategy: Arc<dyn CacheStrategy<E>>,
        local: Option<Arc<LocalTier<E>>>,
        statistics: Arc<KindStatistics>,
        epoch: Arc<AtomicU64>,
        config: &CacheConfig,
        (prefetch, records): (&Arc<Prefetch>, &Arc<Records>),
    ) -> Self {
        Self {
            epoch,
            prefetch: Arc::clone(prefetch),
            records: Arc::clone(records),
            shape: E::fingerprint(),
            ttl: config
                .ttl_of(E::KIND)
                .or_else(|| strategy.default_ttl())
                .unwrap_or(config.default_ttl),
            load_timeout: strategy.load_timeout().unwrap_or(config.load_timeout),
            overdue: AtomicBool::new(false),
            miscounted: AtomicBool::new(false),
            uncacheable: AtomicU16::new(0),
            strategy_text: format!("{strategy:?}"),
            strategy,
            statistics,
            local,
            shown: Shown::new(),
            max_value_bytes: config.max_value_bytes,
            compress_above: config.compress_above_bytes,
            losses: Losses::default(),
            names: Names::default(),
            undecodable: AtomicBool::new(false),
            pace: LoadPace::default(),
            flights: Mutex::default(),
        }
    }

    /// Returns the epoch of the kind; zero until it is known.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Returns the conditions for fills and reads of a key that begin now.
    pub(crate) fn fill_context(&self, key: &Key, history: u64) -> FillContext {
        // The epoch first, because it is lowered only after another era has
        // begun.
        let epoch = self.epoch();
        FillContext {
            history,
            epoch,
            shape: value::mixed(self.shape, key),
        }
    }

    /// Decodes a value, if it may be served `now`.
    pub(crate) fn decode(
        &self,
        asked: LookupRef<'_, E>,
        bytes: &[u8],
        ours: FillContext,
        now: Timestamp,
    ) -> Result<Cached<E>, Unacceptable> {
        let header = Header::parse(bytes).ok_or(Unacceptable::Malformed)?;
        header.judge(ours, now)?;
        let payload = value::payload(&header, bytes, self.max_value_bytes)?;
        let envelope = value::open(&payload, asked.member()).ok_or(Unacceptable::Malformed)?;
        if value::swells(envelope.body, self.max_value_bytes) {
            return Err(Unacceptable::TooLarge);
        }
        // If the codec panics, the value counts as undecodable and the read
        // continues.
        let decode = || self.decode_body(asked, envelope.body);
        let found =
            catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(Unacceptable::Undecodable))?;
        let loaded_at = envelope.cached_at.as_millisecond();
        let age = now.as_millisecond().saturating_sub(loaded_at);
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        Ok(Cached {
            found,
            loaded_at,
            ttl: envelope.ttl.saturating_sub(age),
            lifetime: envelope.ttl,
            is_claimed: header.is_claimed(),
            fill: header.fill,
            body: key::hash(envelope.body),
            payload_bytes: payload.len(),
        })
    }

    fn decode_body(&self, asked: LookupRef<'_, E>, body: &str) -> Result<Found<E>, Unacceptable> {
        let codec = self.strategy.codec();
        let undecodable = |error: CodecError| {
            // Logs only the first failure after a success.
            if !self.undecodable.swap(true, Ordering::Relaxed) {
                tracing::error!(kind = E::KIND, %error, "a cached value cannot be decoded; it counts as a miss");
            }
            Unacceptable::Undecodable
        };
        let found = match asked {
            LookupRef::Id(_) if body == "null" => Found::Row(None),
            LookupRef::Id(_) => {
                Found::Row(Some(Arc::new(codec.decode(body).map_err(undecodable)?)))
            }
            LookupRef::Index(_) | LookupRef::All => {
                let rows = codec.decode_list(body).map_err(undecodable)?;
                Found::List(rows.into_iter().map(Arc::new).collect())
            }
        };
        // Read first, because other cores read it as well.
        if self.undecodable.load(Ordering::Relaxed) {
            self.undecodable.store(false, Ordering::Relaxed);
        }
        if asked.admits_all(&found) && !self.is_outdone(asked, &found) {
            Ok(found)
        } else {
            Err(Unacceptable::Misplaced)
        }
    }

    /// Returns true if two results of one lookup are equal for a caller.
    pub(crate) fn is_same(one: &Found<E>, other: &Found<E>) -> bool {
        let same = |one: &Arc<E>, other: &Arc<E>| {
            Arc::ptr_eq(one, other) || one.difference(other).is_none()
        };
        match (one, other) {
            (Found::Row(None), Found::Row(None)) => true,
            (Found::Row(Some(one)), Found::Row(Some(other))) => same(one, other),
            (Found::List(one), Found::List(other)) => {
                one.len() == other.len() && one.iter().zip(&**other).all(|(a, b)| same(a, b))
            }
            _ => false,
        }
    }

    /// Records the duration of a load.
    pub(crate) fn load_took(&self, time: Duration) {
        self.pace.took(time);
    }

    /// Returns true if loads take much longer than they usually do.
    pub(crate) fn is_slow(&self) -> bool {
        self.pace.is_slow()
    }

    /// Returns how long to wait for another reader's load.
    pub(crate) fn lease_patience(&self, lease: Duration) -> Duration {
        self.pace.patience(lease)
    }
}

impl<E: Entity> AnyKind for Kind<E> {
    fn operations(&self) -> &'static [(Operation, &'static str)] {
        &OPERATIONS
    }

    fn spoilt(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    fn type_name(&self) -> &'static str {
        type_name::<E>()
    }

    fn indexes(&self) -> &'static [IndexShape] {
        E::INDEXES
    }

    fn has_list_of_all(&self) -> bool {
        E::LIST_ALL
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

    fn written(&self) -> (u64, u64) {
        let local = self.local.as_ref();
        local.map_or((0, 0), |local| local.written())
    }

    fn policy(&self) -> Option<Policy> {
        let strategy = &self.strategy;
        let policy = || Policy {
            early_refresh: strategy.early_refresh(),
            jitter: strategy.jitter(),
            negative_ttl: strategy.negative_ttl().min(self.ttl),
            cache_on_write: strategy.cache_on_write(),
        };
        catch_unwind(AssertUnwindSafe(policy)).ok()
    }

    fn shape(&self) -> u64 {
        self.shape
    }

    fn conditions(&self, key: &Key, history: u64) -> FillContext {
        let mut required = self.fill_context(key, history);
        if listed_id::is_key_of_list(E::KIND, E::INDEXES, key) {
            required.shape = value::mixed(ListedId::<E>::fingerprint(), key);
        }
        required
    }

    fn local(&self) -> (u64, u64, u64) {
        let store = self.local.as_ref();
        store.map_or((0, 0, 0), |store| {
            (store.len(), store.bytes(), store.evictions())
        })
    }

    fn held(&self, limit: usize, known: &[u64]) -> Vec<String> {
        let local = self.local.as_ref();
        local.map_or_else(Vec::new, |local| local.held(limit, known))
    }

    fn held_name(&self, hash: u64) -> Option<String> {
        self.local.as_ref()?.held_name(hash)
    }

    fn name_of(&self, hash: u64) -> Option<String> {
        self.local.as_ref()?.name_of(hash)
    }

    fn copy_of(&self, key: &Key, text: &str) -> Option<LocalCopy> {
        let local = self.local.as_ref()?;
        local.copy_of(key.hash(), text, |_, _| true)
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<E: Entity> fmt::Debug for Kind<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Kind")
            .field("kind", &E::KIND)
            .finish_non_exhaustive()
    }
}
