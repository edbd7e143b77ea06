//! Many rows or lists at once: one MGET or pipeline of GETs, one pipeline of
//! ACQUIREs, one load, and one pipeline of FILLs.
//!
//! A batch leads the flights of the keys that no other reader leads, ends all of them,
//! and only then waits for the others. So two overlapping batches never wait for each
//! other.

mod own;
mod look;
mod acquire;
mod fill;
mod load;
mod stored;

use std::collections::HashMap;
use std::pin::Pin;

use futures_util::future::try_join_all;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::answer::{Bypass, Freshness};
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Found, LookupRef, Spelled};
use crate::insight::statistics::{Operation, Outcome};
use crate::local::flight::Entered;
use crate::protocol::BoxFuture;
use crate::read::ReadPath;
use crate::read::batch::own::{Own, Results, Unread, Wanted};
use crate::read::load::Cause;
use crate::read::look::{Missing, Step};
use crate::read::timeouts::Waited;
use crate::repository::{Overloaded, Source};
use crate::runtime::task;
use crate::tiers::breaking::Admissions;
use crate::tiers::kind::ReadContext;
use crate::tiers::origin_guard;

/// The number of lookups per round; a larger batch has several rounds.
const LOOKUPS_PER_ROUND: usize = 1_000;

/// Returns the lookups of a batch that differ, and for each lookup of the batch its
/// place among them. Those that are equal and have two keys differ.
fn distinct<'a, E: Entity>(
    asked: impl ExactSizeIterator<Item = LookupRef<'a, E>>,
) -> (Vec<LookupRef<'a, E>>, Vec<usize>) {
    let mut known: HashMap<Spelled<'_, E>, usize> = HashMap::with_capacity(asked.len());
    let mut distinct = Vec::with_capacity(asked.len());
    let places = asked.map(|asked| {
        *known.entry(Spelled::of(asked)).or_insert_with(|| {
            distinct.push(asked);
            distinct.len() - 1
        })
    });
    let places = places.collect();
    (distinct, places)
}

impl<R: Source> ReadPath<R> {
    /// Returns the results of these lookups, all of ids or all of lists, in their
    /// order; a repeated one is read once.
    pub(crate) async fn read_many<'a>(
        &self,
        asked: impl ExactSizeIterator<Item = LookupRef<'a, R::Entity>>,
        operation: Operation,
    ) -> Result<Vec<Found<R::Entity>>, R::Error> {
        let (asked, places) = distinct::<R::Entity>(asked);
        let mut results: Results<R> = HashMap::with_capacity(asked.len());
        let mut missing: Vec<Wanted<'_, R>> = Vec::new();
        for (at, asked) in asked.into_iter().enumerate() {
            match self.local(asked, operation) {
                Some(found) => _ = results.insert(at, found),
                None => match self.ahead_of_batch(asked, operation) {
                    Some(found) => _ = results.insert(at, found),
                    None => missing.push((at, asked)),
                },
            }
        }
        for round in missing.chunks(LOOKUPS_PER_ROUND) {
            let read = self.timed_round(round, &mut results, operation).await;
            if let Err(error) = read {
                self.serve_stale(round, &mut results, operation)
                    .ok_or(error)?;
            }
        }
        // By index, because a panic is better than an absence that no tier
        // returned.
        Ok(places.iter().map(|at| results[at].clone()).collect())
    }

    /// Returns the result that this process has; counted as a hit.
    fn local(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
    ) -> Option<Found<R::Entity>> {
        match asked {
            LookupRef::Id(id) => self.local_row(id, operation).map(Found::Row),
            asked => {
                let result = self.local_result(asked, operation, Freshness::Any);
                result.map(|result| result.found)
            }
        }
    }

    /// Completes a failed round with stale results, if all missing ones have one.
    fn serve_stale(
        &self,
        round: &[Wanted<'_, R>],
        results: &mut Results<R>,
        operation: Operation,
    ) -> Option<()> {
        for (at, asked) in round {
            if !results.contains_key(at) {
                let served = self.stale(*asked)?;
                self.count(*asked, operation, served.outcome(), &served.provenance);
                results.insert(*at, served.found);
            }
        }
        Some(())
    }

    /// Reads a round within the limits of the caller.
    async fn timed_round(
        &self,
        wanted: &[Wanted<'_, R>],
        results: &mut Results<R>,
        operation: Operation,
    ) -> Result<(), R::Error> {
        let has_older = || wanted.iter().all(|(_, asked)| self.stale(*asked).is_some());
        // On the heap, because a load may read batches, whose loads do, too.
        let mut read: BoxFuture<'_, _> = Box::pin(self.read_round(wanted, results, operation));
        match self.wait(operation, Pin::new(&mut read), has_older).await {
            Waited::Done(read) => read,
            Waited::Older => Err(self.source.overloaded(Overloaded::TooSlow)),
            Waited::Over(limit) => Err(self.still_loading(limit)),
        }
    }

    async fn read_round(
        &self,
        wanted: &[Wanted<'_, R>],
        results: &mut Results<R>,
        operation: Operation,
    ) -> Result<(), R::Error> {
        let begun = Instant::now();
        let lenient = self.kind.local.is_some();
        self.ensure_epoch().await;
        // One pipeline, and so one draw whether Redis admits it.
        let mut admissions = Admissions::default();
        let (own, others) = if lenient {
            let unread = wanted.iter().map(|wanted| (*wanted, None)).collect();
            let (own, others) = self.enter_flights(unread, lenient, &mut admissions, operation);
            (self.look_up(own, results).await, others)
        } else {
            let looked = self.look_first(wanted, results, &mut admissions, operation);
            self.enter_flights(looked.await, lenient, &mut admissions, operation)
        };
        // A round takes as long as its load, if it loads anything.
        let outcome = match own.is_empty() {
            true => Outcome::L2Hit,
            false => Outcome::Miss,
        };
        if !own.is_empty() {
            // A task, because other readers may wait when this caller is dropped.
            let (this, place) = (self.clone(), origin_guard::current());
            let (caller, _waiting) = oneshot::channel();
            let loading = async move { this.load_own(own, caller).await };
            results.extend(task::outlive(origin_guard::within(place, loading)).await?);
        }
        if operation != Operation::WarmUp {
            self.kind.statistics.read_took(outcome, begun.elapsed());
        }
        let rest = others.into_iter().map(async |(at, asked)| {
            // From the local tier again: the other readers' rows may be there by now, and
            // a reader that skips it could return a newer row than the next reader gets.
            let read = self.read(asked, operation, Freshness::Any);
            Ok((at, Box::pin(read).await?.found))
        });
        results.extend(try_join_all(rest).await?);
        self.load_left(wanted, results).await
    }

    /// Enters the flight of each lookup that is not read yet. Returns those that this
    /// batch leads, and those that another reader leads. A lookup in neither list is
    /// loaded in the end: a read within a load must not wait for readers that wait
    /// for its place.
    fn enter_flights<'a>(
        &self,
        unread: Vec<Unread<'a, R>>,
        lenient: bool,
        admissions: &mut Admissions,
        operation: Operation,
    ) -> (Vec<Own<R>>, Vec<Wanted<'a, R>>) {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        let in_place = self.tiers().origin.has_place();
        for ((at, asked), step) in unread {
            let key = asked.key(self.tiers().namespace());
            if self.is_loading(&key) {
                continue;
            }
            let context = self.context(&key);
            let keyed = asked.keyed(&key);
            match self.flights.enter(&keyed, context, lenient) {
                Entered::Lead(leader) => {
                    leader.set_context(context);
                    let closed = self.batch_gate(&key, context, admissions);
                    let step = closed.map(Step::LoadOnly).or(step);
                    let step = step.unwrap_or(Step::Acquire(Missing::default()));
                    own.push(Own {
                        at,
                        leader,
                        key,
                        context,
                        observation: 0,
                        operation,
                        cause: Cause::default(),
                        step,
                    });
                }
                Entered::Follow(_)
                    if in_place && self.gate(&key, context).is_some_and(Bypass::is_outage) => {}
                Entered::Follow(_) => others.push((at, asked)),
            }
        }
        (own, others)
    }

    /// Returns the reason why a batch must not read a key from Redis, if any.
    fn batch_gate(
        &self,
        key: &Key,
        context: ReadContext,
        admissions: &mut Admissions,
    ) -> Option<Bypass> {
        self.gate(key, context)
            .or_else(|| {
                let admitted = self.tiers().admits_in_batch(key, admissions);
                (!admitted).then_some(Bypass::RedisUnavailable)
            })
            .or_else(|| {
                // A key that is due is tried again.
                let known = self.tiers().uncacheable.known(key)?;
                (!known.is_due).then(|| known.why.bypass())
            })
    }

    /// Loads each result that is still missing, for this caller alone.
    async fn load_left(
        &self,
        wanted: &[Wanted<'_, R>],
        results: &mut Results<R>,
    ) -> Result<(), R::Error> {
        let is_left = |(at, _): &Wanted<'_, R>| !results.contains_key(at);
        let left: Vec<_> = wanted.iter().copied().filter(is_left).collect();
        if left.is_empty() {
            return Ok(());
        }
        let lookups: Vec<_> = left.iter().map(|(_, asked)| asked.to_lookup()).collect();
        let loaded = self.load_many(&lookups).await?;
        for ((at, asked), found) in left.into_iter().zip(loaded) {
            self.invalidate_held(asked, &found, true);
            results.insert(at, found);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
