//! The end of a batch: one pipeline of FILLs, and the result of every flight.

use crate::answer::{Bypass, Provenance, Tier};
use crate::entity::lookup::Found;
use crate::insight::statistics::{Operation, Outcome, increment};
use crate::insight::trail::Event;
use crate::protocol::{Op, Reply, Traffic};
use crate::read::ReadPath;
use crate::read::batch::acquire::Right;
use crate::read::batch::own::Own;
use crate::read::lease::Lease;
use crate::repository::Source;
use crate::runtime::clock;
use crate::tiers::kind::{Cached, FlightResult};

/// A result about to be filled.
struct Filling<R: Source> {
    own: Own<R>,
    lease: Lease,
    cached: Cached<R::Entity>,
    /// The observation of its FILL.
    observation: u32,
}

impl<R: Source> ReadPath<R> {
    /// Sends one pipeline of FILLs, and ends every flight of the batch.
    pub(super) async fn fill_all(&self, own: Vec<(Own<R>, Right)>, loaded: Vec<Found<R::Entity>>) {
        let loaded_at = clock::wall().as_millisecond();
        let (mut filling, mut ops) = (Vec::new(), Vec::new());
        for ((own, right), found) in own.into_iter().zip(loaded) {
            let outcome = Outcome::of(
                Tier::Source,
                right.as_ref().err().copied(),
                found.is_absence(),
            );
            let provenance = Provenance {
                missed: own.cause.missed,
                ..Provenance::source(loaded_at, right.as_ref().err().copied())
            };
            let asked = own.leader.key().asked();
            self.count(asked, own.operation, outcome, &provenance);
            self.count_below(asked, own.operation, outcome);
            if own.operation != Operation::WarmUp {
                self.count_reason(asked, outcome, &provenance);
            }
            let lease = match right {
                Ok(lease) => lease,
                Err(bypass) => {
                    own.finish(loaded_result(found, Some(bypass), loaded_at), None);
                    continue;
                }
            };
            let (fill, again) = (lease.stamp(), own.cause.replaces);
            let encoded = match self.encode(asked, &found, own.context, fill, own.operation, again)
            {
                Ok(encoded) => encoded,
                Err(why) => {
                    let bypass = self.uncacheable(&own.key, why, own.context);
                    own.finish(loaded_result(found, Some(bypass), loaded_at), None);
                    continue;
                }
            };
            let (value, cached) = encoded.split(found);
            ops.push(lease.fill(value, cached.ttl));
            filling.push(Filling {
                own,
                lease,
                cached,
                observation: 0,
            });
        }
        if !ops.is_empty() {
            self.send_fills(filling, ops, loaded_at).await;
        }
    }

    async fn send_fills(&self, mut filling: Vec<Filling<R>>, ops: Vec<Op>, loaded_at: i64) {
        for filling in &mut filling {
            filling.observation = filling.own.leader.step_fill();
        }
        let tiers = self.tiers();
        let replies = tiers
            .send(Traffic::of_fill(Op::value_bytes(&ops)), ops)
            .await;
        let mut replies = replies.into_iter();
        for Filling {
            mut own,
            lease,
            cached,
            observation,
        } in filling
        {
            let mut context = None;
            match replies.next() {
                Some(Ok(Reply::Filled(true))) => {
                    lease.spent();
                    tiers.record_event(&own.key, Event::Filled(cached.ttl));
                    self.kind.keep(own.leader.key(), &cached, own.context);
                    own.observation = observation;
                    if own.operation == Operation::WarmUp {
                        increment(&self.kind.statistics.warmed);
                    }
                    context = Some(own.context);
                }
                Some(Ok(_)) => {
                    lease.spent();
                    tiers.record_event(&own.key, Event::FillRefused);
                    increment(&tiers.statistics.fill_rejected);
                }
                // Possibly filled; giving the lease back removes no value.
                _ => drop(lease),
            }
            let mut result = loaded_result(cached.found, None, loaded_at);
            result.provenance.ttl = Some(cached.ttl);
            own.finish(result, context);
        }
    }
}

/// Returns a result that was loaded for a batch.
fn loaded_result<E, X>(
    found: Found<E>,
    bypass: Option<Bypass>,
    loaded_at: i64,
) -> FlightResult<E, X> {
    FlightResult::new(Ok(found), Provenance::source(loaded_at, bypass))
}
