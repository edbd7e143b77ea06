//! A read that enters the flight of its key.
//!
//! The order in [`ReadPath::lead`] is the protocol: the generations are taken, then
//! the gate is passed, then the GET is sent. An invalidation after the first of the
//! three keeps the result out of the local tier, however late the result arrives.

use std::ops::ControlFlow;

use crate::answer::{Bypass, Freshness};
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Keyed, LookupRef};
use crate::insight::statistics::{Operation, increment};
use crate::local::flight::{Entered, Waited};
use crate::read::look::{Missing, Step};
use crate::read::result::{ReadResult, is_too_old, is_young};
use crate::read::{Leader, ReadPath};
use crate::repository::Source;
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};
use crate::tiers::kind::{Failed, FlightResult};

/// A read below this process.
struct Reading<'a, E: Entity> {
    asked: LookupRef<'a, E>,
    key: Key,
    keyed: Keyed<E>,
    operation: Operation,
    freshness: Freshness,
    /// Whether Redis admits the read; drawn once.
    admitted: Option<bool>,
}

/// The result of a read that needs no flight, or the step to lead with: `None` if the
/// leader looks first.
type Start<R> = ControlFlow<
    Result<ReadResult<<R as Source>::Entity>, <R as Source>::Error>,
    Option<Step<<R as Source>::Entity>>,
>;

impl<R: Source> ReadPath<R> {
    pub(super) async fn read_shared(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
        freshness: Freshness,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
        let key = asked.key(self.tiers().namespace());
        if self.is_loading(&key) {
            return self.read_source(asked, operation, None).await;
        }
        if freshness == Freshness::Any
            && let Some(result) = self.ahead_of_read(asked, &key, operation)
        {
            return Ok(result);
        }
        let mut reading = Reading {
            asked,
            keyed: asked.keyed(&key),
            key,
            operation,
            freshness,
            admitted: None,
        };
        self.ensure_epoch().await;
        loop {
            let start = match self.start(&mut reading).await {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(start) => start,
            };
            if let Some(result) = self.fly(&reading, start).await {
                return result;
            }
        }
    }

    /// Decides the start of a read before it enters a flight.
    async fn start(&self, reading: &mut Reading<'_, R::Entity>) -> Start<R> {
        let Reading {
            asked,
            ref key,
            operation,
            freshness,
            ..
        } = *reading;
        let tiers = self.tiers();
        let context = self.context(key);
        if let Some(bypass) = self.gate(key, context) {
            if bypass.is_outage() && tiers.origin.has_place() {
                // In the place of the load that this read is a part of. A flight may be
                // led by a reader that waits for a place itself.
                return ControlFlow::Break(self.read_source(asked, operation, Some(bypass)).await);
            }
            return ControlFlow::Continue(Some(Step::LoadOnly(bypass)));
        }
        if let Some(known) = tiers.uncacheable.known(key) {
            return ControlFlow::Break(self.pass(asked, key, known, operation).await);
        }
        let admitted = *reading
            .admitted
            .get_or_insert_with(|| tiers.admits_read(key));
        if !admitted {
            return ControlFlow::Continue(Some(Step::LoadOnly(Bypass::RedisUnavailable)));
        }
        let first = match freshness {
            // A value that is too old is replaced, which an ACQUIRE alone does not do.
            Freshness::AtMost(_) => None,
            _ => self.acquire_first(asked),
        };
        if first.is_some() || self.shares_local(freshness) {
            return ControlFlow::Continue(first);
        }
        // Without a local tier a GET per reader is cheaper than waiting for another
        // reader's, and always fresh.
        match self.look(asked, key, context, freshness).await {
            Step::Serve(cached) => ControlFlow::Break(Ok(ReadResult::cached(cached))),
            Step::WaitForLease(_) => ControlFlow::Continue(Some(Step::Acquire(Missing::default()))),
            step => ControlFlow::Continue(Some(step)),
        }
    }

    /// Returns true if a reader may be served from the local tier, and so by a flight
    /// that began before it asked.
    fn shares_local(&self, freshness: Freshness) -> bool {
        freshness == Freshness::Any && self.kind.local.is_some()
    }

    /// Leads the flight of the key or waits for its leader. Returns `None` if the read
    /// must start again.
    async fn fly(
        &self,
        reading: &Reading<'_, R::Entity>,
        start: Option<Step<R::Entity>>,
    ) -> Option<Result<ReadResult<R::Entity>, R::Error>> {
        let Reading {
            key,
            operation,
            freshness,
            ..
        } = reading;
        let context = self.context(key);
        // A value that the local tier would not have served for want of a proof is not
        // taken over from a flight either. A process that was stopped goes on with the
        // reply to an earlier GET in its socket, and reads may come before the watcher
        // notices how late it is.
        let lenient = self.shares_local(*freshness) && !matches!(start, Some(Step::LoadOnly(_)));
        let leader = match self.flights.enter(&reading.keyed, context, lenient) {
            Entered::Lead(leader) => leader,
            Entered::Follow(follower) => match follower.wait().await {
                Waited::Answer(flight) if is_too_old(&flight, *freshness) => return None,
                Waited::Answer(flight) => {
                    increment(&self.kind.statistics.coalesced);
                    return Some(Self::share(&flight));
                }
                // The flight may have found out that the key cannot be cached. Then the
                // other readers load side by side as well.
                Waited::Lead(_) if self.tiers().uncacheable.is_known(key) => return None,
                Waited::Lead(leader) => leader,
                Waited::Again => return None,
            },
        };
        // On the heap, so that reads which do not lead stay small.
        let result = match Box::pin(self.lead(leader, key.clone(), start, *operation)).await {
            // Another reader's fill, taken over on the way.
            Ok(result) if !is_young(result.provenance.loaded_at, *freshness) => {
                let requested = Some(Bypass::Requested);
                self.read_source(reading.asked, *operation, requested).await
            }
            result => result,
        };
        Some(result)
    }

    /// Leads a flight: one GET here, and after a miss the rest in a task, which goes on
    /// if the caller is dropped.
    async fn lead(
        &self,
        leader: Leader<R>,
        key: Key,
        start: Option<Step<R::Entity>>,
        operation: Operation,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
        let context = self.context(&key);
        leader.set_context(context);
        // Passed again, because the reader may have waited since.
        let closed = self.gate(&key, context).map(Step::LoadOnly);
        let step = match closed.or(start) {
            Some(step) => step,
            None => {
                let observation = leader.step();
                let asked = leader.key().asked();
                let step = self.look(asked, &key, context, Freshness::Any).await;
                #[cfg(test)]
                let context = match simulated::without(Rule::GenerationsBeforeGet) {
                    true => self.context(&key),
                    false => context,
                };
                match step {
                    Step::Serve(cached) => {
                        self.finish(leader, &cached, context, observation);
                        return Ok(ReadResult::cached(cached));
                    }
                    // Its ACQUIRE notices if the lease has ended since.
                    Step::WaitForLease(_) => Step::Acquire(Missing::default()),
                    step => step,
                }
            }
        };
        self.miss(leader, key, step, operation).await
    }

    /// Converts the result of a flight for a reader that waited for it.
    fn share(
        flight: &FlightResult<R::Entity, R::Error>,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
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
            Err(Failed::Error(error)) => Err(error.clone()),
            Err(Failed::Panicked) => {
                panic!("the shared load of `{}` panicked", R::Entity::KIND)
            }
        }
    }
}
