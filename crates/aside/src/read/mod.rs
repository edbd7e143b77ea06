//! The read path: this process, then Redis, then the database.
//!
//! A local hit ends in this file. Every other read enters the flight of its key
//! (`lead`). Its leader takes the generations, passes the gate and sends the GET
//! (`look`). After a miss it asks for the right to fill, waits for another reader's
//! value (`miss`), or loads and fills (`load`). A value near its end is loaded anew
//! beside its readers (`refresh`). A batch does the same for many keys
//! at once (`batch`), by the same decisions: [`look::Step`].

pub(crate) mod result;
pub(crate) mod lease;
pub(crate) mod source;
pub(crate) mod timeouts;
pub(crate) mod refresh;
pub(crate) mod look;
mod stale;
mod uncacheable;
mod shown;
mod audit;
mod sampling;
mod below;
pub(crate) mod load;
pub(crate) mod wait;
mod miss;
mod prefetch;
mod lead;
mod batch;
mod row;

use std::pin::pin;
use std::sync::Arc;

use tokio::time::Instant;

use crate::answer::{Bypass, Freshness, Provenance, Tier};
use crate::entity::Entity;
use crate::entity::lookup::{Found, Keyed, LookupRef};
use crate::entity::strategy::CacheStrategy;
use crate::insight::audit::Audit;
use crate::insight::statistics::{Operation, Outcome};
use crate::local::PackedEntry;
use crate::local::flight;
use crate::prefetch::Ear;
use crate::read::result::{ReadResult, is_young};
use crate::read::sampling::{served, served_here};
use crate::read::timeouts::{Timeouts, Waited};
use crate::repository::{Id, Overloaded, Row, Source};
use crate::service::CacheService;
use crate::tiers::Tiers;
use crate::tiers::kind::{FlightResult, Kind, KindFlights, ReadContext};

/// The leader of a flight of this repository.
type Leader<R> = flight::Leader<
    Keyed<<R as Source>::Entity>,
    ReadContext,
    Arc<FlightResult<<R as Source>::Entity, <R as Source>::Error>>,
>;

/// All that a read of one kind needs. A task that goes on without its caller holds a
/// clone, and so keeps the service until its FILL is acknowledged.
pub(crate) struct ReadPath<R: Source> {
    pub(crate) source: Arc<R>,
    pub(crate) cache: CacheService,
    pub(crate) kind: Arc<Kind<R::Entity>>,
    flights: Arc<KindFlights<R::Entity, R::Error>>,
    /// A copy of the one in the tiers: each hit looks whether there is one.
    audit: Option<Arc<Audit>>,
    /// How long this caller waits for a load.
    pub(crate) timeouts: Timeouts,
    /// `None` if no row of the kind is fetched before it is read.
    ear: Option<Arc<Ear<R::Entity>>>,
}

impl<R: Source> ReadPath<R> {
    pub(crate) fn new(
        source: Arc<R>,
        cache: &CacheService,
        strategy: Option<Arc<dyn CacheStrategy<R::Entity>>>,
    ) -> Self {
        let kind = cache.tiers().register(strategy);
        let mut read = Self::of(source, cache.clone(), kind);
        read.ear = read.listen();
        read.read_back();
        read
    }

    /// Returns the path of a source, whose reads are not learnt from.
    pub(crate) fn of(source: Arc<R>, cache: CacheService, kind: Arc<Kind<R::Entity>>) -> Self {
        Self {
            source,
            audit: cache.tiers().audit.clone(),
            cache,
            flights: kind.flights(),
            kind,
            timeouts: Timeouts::new(),
            ear: None,
        }
    }

    pub(crate) fn tiers(&self) -> &Arc<Tiers> {
        self.cache.tiers()
    }

    /// Returns what `take` makes of the local entry, if it may be served now.
    // Always: see `row`.
    #[inline(always)]
    fn hit<T>(
        &self,
        asked: LookupRef<'_, R::Entity>,
        take: impl FnOnce(&PackedEntry<R::Entity>) -> T,
    ) -> Option<T> {
        self.kind.local.as_ref()?.get(asked, take)
    }

    /// Returns the row that this process has, or `Some(None)` if it knows the row to
    /// be absent; counted as a hit.
    #[inline(always)]
    pub(crate) fn local_row(&self, id: &Id<R>, operation: Operation) -> Option<Option<Row<R>>> {
        let (row, fill, outcome) = self.hit(LookupRef::Id(id), |kept| {
            // Before the row is cloned, because the clone waits for memory and delays
            // the code after it.
            let outcome = Outcome::of(Tier::Local, None, kept.is_absence());
            if self.kind.statistics.read(operation, outcome) {
                self.record(LookupRef::Id(id), operation, served_here(kept.loaded_at()));
            }
            let fill = self.audit.is_some().then(|| kept.fill());
            (kept.row(), fill, outcome)
        })?;
        if fill.is_some() {
            self.sample(LookupRef::Id(id), fill, &Found::Row(row.clone()));
        }
        self.log(operation, outcome);
        Some(row)
    }

    /// Reads from the first tier that has a value of the asked freshness.
    pub(crate) async fn read(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
        freshness: Freshness,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
        match self.local_result(asked, operation, freshness) {
            Some(result) => Ok(result),
            None => Box::pin(self.read_below(asked, operation, freshness)).await,
        }
    }

    /// Returns the result that this process has, if it is fresh enough; counted as a
    /// hit.
    fn local_result(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
        freshness: Freshness,
    ) -> Option<ReadResult<R::Entity>> {
        let local = match freshness {
            Freshness::Any | Freshness::AtMost(_) => self.hit(asked, |kept| {
                is_young(kept.loaded_at(), freshness).then(|| kept.entry())
            }),
            Freshness::Shared | Freshness::Source => None,
        };
        let result = local.flatten().map(ReadResult::local)?;
        self.count(asked, operation, result.outcome(), &result.provenance);
        self.sample(asked, result.provenance.fill, &result.found);
        Some(result)
    }

    /// Reads from the tiers below the local one.
    async fn read_below(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
        freshness: Freshness,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
        let begun = Instant::now();
        let read = pin!(async {
            if freshness == Freshness::Source {
                self.read_source(asked, operation, Some(Bypass::Requested))
                    .await
            } else {
                self.read_shared(asked, operation, freshness).await
            }
        });
        let older = || match freshness {
            Freshness::Any => self.stale(asked),
            _ => None,
        };
        let read = match self.wait(operation, read, || older().is_some()).await {
            Waited::Done(read) => read,
            // If it has ended in between, this is as an error of the database.
            Waited::Older => Err(self.source.overloaded(Overloaded::TooSlow)),
            Waited::Over(limit) => Err(self.still_loading(limit)),
        };
        let result = match read {
            Err(error) => older().ok_or(error)?,
            Ok(result) => result,
        };
        self.invalidate_older(asked, freshness, &result);
        self.follow(operation, freshness, &result.found);
        let outcome = result.outcome();
        self.count(asked, operation, outcome, &result.provenance);
        self.count_below(asked, operation, outcome);
        self.sample(asked, result.provenance.fill, &result.found);
        // A row of the buffer cost no time below this process.
        if operation != Operation::WarmUp && result.provenance.tier != Tier::Local {
            self.count_reason(asked, outcome, &result.provenance);
            self.kind.statistics.read_took(outcome, begun.elapsed());
            if let Some(local) = &self.kind.local {
                local.read_took(asked, begun.elapsed());
            }
        }
        Ok(result)
    }

    /// Counts why a read was a miss, or bypassed the cache.
    fn count_reason(
        &self,
        asked: LookupRef<'_, R::Entity>,
        outcome: Outcome,
        provenance: &Provenance,
    ) {
        let statistics = &self.kind.statistics;
        match (outcome, provenance.bypass) {
            (Outcome::Miss, _) => statistics.missed(provenance.missed),
            (Outcome::Bypass, Some(why)) => statistics.bypassed(why, || {
                let key = asked.key(self.tiers().namespace());
                self.tiers().unavailable(&key, self.kind.epoch())
            }),
            _ => {}
        }
    }

    /// Invalidates local entries that a later read must not return after `result`.
    fn invalidate_older(
        &self,
        asked: LookupRef<'_, R::Entity>,
        freshness: Freshness,
        result: &ReadResult<R::Entity>,
    ) {
        let bypass = result.provenance.bypass;
        if bypass.is_some_and(Bypass::is_uncacheable) {
            // Done when that was found out, or by `pass`.
        } else if freshness != Freshness::Any {
            self.invalidate_skipped(asked, result.provenance.fill);
        } else if result.provenance.tier == Tier::Source {
            self.invalidate_held(asked, &result.found, bypass.is_some());
        }
    }

    /// Loads from the database for this caller alone.
    async fn read_source(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
        bypass: Option<Bypass>,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
        let found = self.load(&asked.to_lookup(), operation).await?;
        Ok(ReadResult::loaded(found, bypass))
    }

    /// Counts a read, and logs it at DEBUG.
    fn count(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
        outcome: Outcome,
        provenance: &Provenance,
    ) {
        if self.kind.statistics.read(operation, outcome) {
            self.record(asked, operation, served(provenance));
        }
        self.log(operation, outcome);
    }

    #[inline]
    fn log(&self, operation: Operation, outcome: Outcome) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            log_read(R::Entity::KIND, operation, outcome);
        }
    }
}

impl<R: Source> Clone for ReadPath<R> {
    fn clone(&self) -> Self {
        Self {
            source: Arc::clone(&self.source),
            cache: self.cache.clone(),
            kind: Arc::clone(&self.kind),
            flights: Arc::clone(&self.flights),
            audit: self.audit.clone(),
            timeouts: self.timeouts,
            ear: self.ear.clone(),
        }
    }
}

/// Apart from the hit, whose code it would enlarge.
#[cold]
fn log_read(kind: &'static str, operation: Operation, outcome: Outcome) {
    let (operation, outcome) = (operation.as_str(), outcome.as_str());
    tracing::debug!(kind, operation, outcome, "read");
}

#[cfg(test)]
mod tests;
