//! Many rows at once: one MGET, one pipeline of ACQUIREs, one load, and one
//! pipeline of FILLs.
//!
//! A batch leads the flights of the ids that no other reader leads, ends all of them,
//! and only then waits for the others. So two overlapping batches never wait for each
//! other.

mod own;
mod look;
mod acquire;
mod fill;
mod load;

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::answer::{Bypass, Freshness};
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Found, LookupRef, Spelled};
use crate::insight::statistics::{Operation, Outcome};
use crate::local::flight::Entered;
use crate::read::ReadPath;
use crate::read::batch::own::{Own, Rows, Unread, Wanted};
use crate::read::load::Cause;
use crate::read::look::{Missing, Step};
use crate::repository::{Id, Row, Source};
use crate::runtime::task;
use crate::tiers::breaking::Admissions;
use crate::tiers::kind::ReadContext;
use crate::tiers::origin_guard;

/// The number of ids per round; a larger batch has several rounds.
const IDS_PER_ROUND: usize = 1_000;

/// Returns the ids of a batch that differ, and for each id of the batch its place
/// among them. Ids that are equal and have two keys differ.
fn distinct<E: Entity>(ids: &[E::Id]) -> (Vec<&E::Id>, Vec<usize>) {
    let mut known: HashMap<Spelled<'_, E>, usize> = HashMap::with_capacity(ids.len());
    let mut distinct = Vec::with_capacity(ids.len());
    let places = ids.iter().map(|id| {
        *known.entry(Spelled::of(id)).or_insert_with(|| {
            distinct.push(id);
            distinct.len() - 1
        })
    });
    let places = places.collect();
    (distinct, places)
}

impl<R: Source> ReadPath<R> {
    /// Returns the rows with these ids, in their order; a repeated id is read once.
    pub(crate) async fn read_many(
        &self,
        ids: &[Id<R>],
        operation: Operation,
    ) -> Result<Vec<Option<Row<R>>>, R::Error> {
        let (ids, places) = distinct::<R::Entity>(ids);
        let mut rows: Rows<R> = HashMap::with_capacity(ids.len());
        let mut missing = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            match self.local_row(id, operation) {
                Some(row) => _ = rows.insert(at, row),
                None => missing.push(at),
            }
        }
        for round in missing.chunks(IDS_PER_ROUND) {
            let round: Vec<Wanted<'_, R>> = round.iter().map(|at| (*at, ids[*at])).collect();
            if let Err(error) = self.read_round(&round, &mut rows, operation).await {
                self.serve_stale(&round, &mut rows).ok_or(error)?;
            }
        }
        // By index, because a panic is better than an absence that no tier
        // returned.
        Ok(places.iter().map(|at| rows[at].clone()).collect())
    }

    /// Completes a failed round with stale rows, if all missing rows have one.
    fn serve_stale(&self, round: &[Wanted<'_, R>], rows: &mut Rows<R>) -> Option<()> {
        for (at, id) in round {
            if !rows.contains_key(at) {
                rows.insert(*at, self.stale_row(id)?);
            }
        }
        Some(())
    }

    async fn read_round(
        &self,
        wanted: &[Wanted<'_, R>],
        rows: &mut Rows<R>,
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
            (self.look_up(own, rows).await, others)
        } else {
            let looked = self.look_first(wanted, rows, &mut admissions, operation);
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
            rows.extend(task::outlive(origin_guard::within(place, loading)).await?);
        }
        if operation != Operation::WarmUp {
            self.kind.statistics.read_took(outcome, begun.elapsed());
        }
        let rest = others.into_iter().map(async |(at, id)| {
            // From the local tier again: the other readers' rows may be there by now, and
            // a reader that skips it could return a newer row than the next reader gets.
            let read = self.read(LookupRef::Id(id), operation, Freshness::Any);
            Ok((at, Box::pin(read).await?.found.into_row()))
        });
        rows.extend(try_join_all(rest).await?);
        self.load_left(wanted, rows).await
    }

    /// Enters the flight of each id that is not read yet. Returns those that this
    /// batch leads, and those that another reader leads. An id in neither list is
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
        for ((at, id), step) in unread {
            let key = LookupRef::<R::Entity>::Id(id).key(self.tiers().namespace());
            if self.is_loading(&key) {
                continue;
            }
            let context = self.context(&key);
            let keyed = LookupRef::Id(id).keyed(&key);
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
                Entered::Follow(_) => others.push((at, id)),
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

    /// Loads every id that is still unread, for this caller alone.
    async fn load_left(
        &self,
        wanted: &[Wanted<'_, R>],
        rows: &mut Rows<R>,
    ) -> Result<(), R::Error> {
        let is_left = |(at, _): &Wanted<'_, R>| !rows.contains_key(at);
        let left: Vec<_> = wanted.iter().copied().filter(is_left).collect();
        if left.is_empty() {
            return Ok(());
        }
        let ids: Vec<Id<R>> = left.iter().map(|(_, id)| (*id).clone()).collect();
        let loaded = self.load_many(&ids).await?;
        for ((at, id), row) in left.into_iter().zip(loaded) {
            self.invalidate_held(LookupRef::Id(id), &Found::Row(row.clone()), true);
            rows.insert(at, row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
