//! A read of a query below this process: its flight, and after a miss the right to
//! fill, the load and the fill.
//!
//! It is that of a row, with two differences. The generations, and the stamps of the
//! dependencies, are those of one look: a stamp seen under older generations than the
//! entry's would keep a load from before a write. And a reader that may not be served
//! locally joins only before the load began, because the reply to the FILL tells
//! nothing about the dependencies.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::answer::Bypass;
use crate::insight::statistics::increment;
use crate::local::flight::{self, Entered, Waited};
use crate::query::asked::Asked;
use crate::query::kind::Leader;
use crate::query::load::Miss;
use crate::query::look::Seen;
use crate::query::path::{Cacheable, Load, QueryPath};
use crate::read::load::LeaderReply;
use crate::read::look::{Missing, Step};
use crate::read::result::ReadResult;
use crate::read::source::is_loading;
use crate::read::wait::Wait;
use crate::runtime::task;
use crate::tiers::kind::{Cached, Failed, FlightResult};
use crate::tiers::origin_guard;

/// The step to lead a flight with, and the look before it: none if the leader looks.
pub(super) type Start<T> = Option<(Step<T>, Option<Seen>)>;

type Read<T, X> = Result<ReadResult<T>, Arc<X>>;

impl<T: Cacheable> QueryPath<T> {
    pub(super) async fn read<X: Send + Sync + 'static>(
        &self,
        asked: &Arc<Asked>,
        load: impl Load<T, X>,
    ) -> Read<T, X> {
        if is_loading(self.tiers(), &asked.key) {
            return self.read_source(asked, load, None).await;
        }
        let begun = Instant::now();
        asked
            .ensure_epochs(self.tiers(), self.kind.name, &self.kind.epoch)
            .await;
        let mut admitted = None;
        let result = loop {
            let start = match self.start(asked, &load, &mut admitted).await {
                ControlFlow::Break(result) => break result?,
                ControlFlow::Continue(start) => start,
            };
            if let Some(result) = self.fly(asked, start, &load).await {
                break result?;
            }
        };
        if result
            .provenance
            .bypass
            .is_some_and(|why| !why.is_uncacheable())
        {
            // No later read may be served an older result.
            self.tiers().generations.invalidate(asked.key.hash());
        }
        self.count(asked, &result, begun);
        Ok(result)
    }

    /// Decides the start of a read before it enters a flight.
    async fn start<X: Send + Sync + 'static>(
        &self,
        asked: &Arc<Asked>,
        load: &impl Load<T, X>,
        admitted: &mut Option<bool>,
    ) -> ControlFlow<Read<T, X>, Start<T>> {
        let tiers = self.tiers();
        let context = self.context(asked);
        if let Some(bypass) = self.gate(asked, &context) {
            if bypass.is_outage() && tiers.origin.has_place() {
                let loaded = self.read_source(asked, load.clone(), Some(bypass));
                return ControlFlow::Break(loaded.await);
            }
            return ControlFlow::Continue(Some((Step::LoadOnly(bypass), None)));
        }
        if let Some(known) = tiers.uncacheable.known(&asked.key) {
            if known.is_due {
                tiers.uncacheable.forget(&asked.key);
            }
            let bypass = Some(known.why.bypass());
            return ControlFlow::Break(self.read_source(asked, load.clone(), bypass).await);
        }
        if !*admitted.get_or_insert_with(|| tiers.admits_read(&asked.key)) {
            let step = Step::LoadOnly(Bypass::RedisUnavailable);
            return ControlFlow::Continue(Some((step, None)));
        }
        if self.kind.local.is_some() {
            return ControlFlow::Continue(None);
        }
        match self.look(asked, context, 0).await {
            (Step::Serve(cached), seen) => {
                ControlFlow::Break(Ok(self.served(asked, cached, seen, load)))
            }
            (Step::WaitForLease(_), _) => {
                ControlFlow::Continue(Some((Step::Acquire(Missing::default()), None)))
            }
            (step, seen) => ControlFlow::Continue(Some((step, Some(seen)))),
        }
    }

    /// Leads the flight or waits for its leader. Returns `None` if the read must start
    /// again.
    async fn fly<X: Send + Sync + 'static>(
        &self,
        asked: &Arc<Asked>,
        start: Start<T>,
        load: &impl Load<T, X>,
    ) -> Option<Read<T, X>> {
        let is_bypass = matches!(start, Some((Step::LoadOnly(_), _)));
        let lenient = self.kind.local.is_some() && !is_bypass;
        let key = (asked.key.clone(), asked.identity);
        let flights = self.kind.flights::<X>();
        let leader = match flights.enter(&key, self.context(asked), lenient) {
            Entered::Lead(leader) => leader,
            Entered::Follow(follower) => match follower.wait().await {
                Waited::Answer(flight) => {
                    increment(&self.kind.statistics.coalesced);
                    return Some(self.share(&flight));
                }
                Waited::Lead(_) if self.tiers().uncacheable.is_known(&asked.key) => return None,
                Waited::Lead(leader) => leader,
                Waited::Again => return None,
            },
        };
        Some(Box::pin(self.lead(asked, leader, start, load.clone())).await)
    }

    /// Leads a flight: one look here, and after a miss the rest in a task.
    async fn lead<X: Send + Sync + 'static>(
        &self,
        asked: &Arc<Asked>,
        leader: Leader<T, X>,
        start: Start<T>,
        load: impl Load<T, X>,
    ) -> Read<T, X> {
        let context = self.context(asked);
        leader.set_context(context.clone());
        // Passed again, because the reader may have waited since.
        let closed = self.gate(asked, &context);
        let (step, seen) = match (closed, start) {
            (Some(bypass), _) => (Step::LoadOnly(bypass), None),
            (None, Some(start)) => start,
            (None, None) => {
                let observation = leader.step();
                let (step, seen) = self.look(asked, context, observation).await;
                match step {
                    Step::Serve(cached) => {
                        self.finish(asked, leader, &cached, &seen);
                        return Ok(self.served(asked, cached, seen, &load));
                    }
                    // Its ACQUIRE notices if the lease has ended since.
                    Step::WaitForLease(_) => (Step::Acquire(Missing::default()), Some(seen)),
                    step => (step, Some(seen)),
                }
            }
        };
        let (caller, reply) = oneshot::channel();
        let miss = Miss {
            read: self.clone(),
            asked: Arc::clone(asked),
            leader,
            load,
            caller,
        };
        let place = origin_guard::current();
        let task = task::spawn_for_caller(origin_guard::within(place, miss.run(step, seen)));
        match reply.await {
            Ok(LeaderReply::Result(result)) => result,
            Ok(LeaderReply::Panic(panic)) => resume_unwind(panic),
            Err(_) => match task.await {
                Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
                // The runtime is shutting down and will drop this future as well.
                _ => std::future::pending().await,
            },
        }
    }

    /// Keeps a value that was found, and ends its flight with it. An outdated one is
    /// not kept: it would pass for one that was filled after the write.
    fn finish<X: Send + Sync + 'static>(
        &self,
        asked: &Asked,
        leader: Leader<T, X>,
        cached: &Cached<T>,
        seen: &Seen,
    ) {
        if seen.older.is_none() {
            self.kind.keep(asked, cached, &seen.context);
        }
        leader.finish(flight::Outcome {
            value: Arc::new(cached.flight_result()),
            step: seen.observation,
            shared_under: Some(seen.context.clone()),
        });
    }

    /// Returns the result of a look, and has an outdated one loaded anew.
    fn served<X: Send + Sync + 'static>(
        &self,
        asked: &Arc<Asked>,
        cached: Cached<T>,
        seen: Seen,
        load: &impl Load<T, X>,
    ) -> ReadResult<T> {
        let mut result = ReadResult::cached(cached);
        if let Some(older) = seen.older {
            result.stale = Some(older.age);
            // Excluded from the audit, which would rightly find it stale.
            result.provenance.fill = None;
            if older.is_open {
                self.load_again(asked, seen, older.fill, load.clone());
            }
        }
        result
    }

    /// Converts the result of a flight for a reader that waited for it.
    fn share<X>(&self, flight: &FlightResult<T, Arc<X>>) -> Read<T, X> {
        flight.link_span();
        match &flight.result {
            Ok(found) => {
                let mut provenance = flight.provenance;
                // The leader's hit is sampled, and one sample suffices.
                provenance.fill = None;
                Ok(ReadResult {
                    found: found.clone(),
                    provenance,
                    stale: None,
                })
            }
            Err(Failed::Error(error)) => Err(Arc::clone(error)),
            Err(Failed::Panicked) => panic!("the shared load of `{}` panicked", self.kind.name),
        }
    }
}

impl<T: Cacheable, X: Send + Sync + 'static, L: Load<T, X>> Miss<T, X, L> {
    async fn run(self, mut step: Step<T>, mut seen: Option<Seen>) {
        let lease = self.read.tiers().config.lease_ttl;
        let mut wait = Wait::new(self.read.kind.pace.patience(lease));
        loop {
            step = match step {
                Step::Serve(cached) => return self.serve(cached, seen),
                Step::LoadOnly(bypass) => return self.load_only(bypass).await,
                Step::Acquire(missing) => {
                    // A look counts for one ACQUIRE, because its generations do.
                    let mut under = match seen.take().map_or_else(|| self.begin(), Ok) {
                        Ok(under) => under,
                        Err(bypass) => return self.load_only(bypass).await,
                    };
                    let (observed, missed) = (missing.observed, missing.why);
                    let acquire = self.read.acquire(&self.asked, observed, &mut under);
                    match acquire.await {
                        Ok(lease) => return self.load_and_fill(lease, under, missed).await,
                        Err(step) => {
                            seen = matches!(step, Step::Serve(_)).then_some(under);
                            let stamp = self.read.tiers().stamp(&self.asked.key);
                            wait.after_acquire(step, stamp)
                        }
                    }
                }
                Step::WaitForLease(_) if wait.is_over() => Step::LoadOnly(Bypass::LeaseWait),
                Step::WaitForLease(_) => {
                    increment(&self.read.tiers().statistics.lease_waits);
                    wait.pause().await;
                    let (step, looked) = match self.begin() {
                        Ok(under) => {
                            let (context, observation) = (under.context, under.observation);
                            let looked = self.read.look(&self.asked, context, observation);
                            let (step, looked) = looked.await;
                            (step, Some(looked))
                        }
                        Err(bypass) => (Step::LoadOnly(bypass), None),
                    };
                    seen = looked;
                    wait.after_look(step)
                }
            };
        }
    }

    /// Takes the generations again, and checks if Redis may be used.
    fn begin(&self) -> Result<Seen, Bypass> {
        let context = self.read.context(&self.asked);
        self.leader.set_context(context.clone());
        match self.read.gate(&self.asked, &context) {
            Some(bypass) => Err(bypass),
            None => Ok(Seen::nothing(context, self.leader.step())),
        }
    }

    /// Serves what another reader has filled.
    fn serve(self, cached: Cached<T>, seen: Option<Seen>) {
        let (read, asked) = (&self.read, &self.asked);
        let result = match seen {
            Some(seen) => {
                read.finish(asked, self.leader, &cached, &seen);
                read.served(asked, cached, seen, &self.load)
            }
            None => ReadResult::cached(cached),
        };
        let _ = self.caller.send(LeaderReply::Result(Ok(result)));
    }
}
