//! Guesses that Redis has not: one pipeline of ACQUIREs, one load, and one pipeline of
//! FILLs.

use std::sync::Arc;

use crate::answer::Provenance;
use crate::entity::lookup::{Found, Lookup};
use crate::insight::statistics::{Operation, increment};
use crate::insight::trail::Event;
use crate::local::flight::Outcome;
use crate::protocol::{Op, Reply, Token, Traffic};
use crate::read::ReadPath;
use crate::read::lease::Lease;
use crate::read::look::Step;
use crate::read::prefetch::Ahead;
use crate::read::source::catch;
use crate::repository::Source;
use crate::runtime::clock;
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};
use crate::tiers::kind::{Cached, FlightResult};

/// A guess with the right to fill it.
type Leased<R> = (Ahead<R>, Lease);

/// A guess that is about to be filled.
type Filling<R> = (Ahead<R>, Lease, Cached<<R as Source>::Entity>);

impl<R: Source> ReadPath<R> {
    /// Loads the guesses that may be filled, and fills them.
    pub(super) async fn load_ahead(&self, missing: Vec<Ahead<R>>) {
        let leased = self.acquire_ahead(missing).await;
        if leased.is_empty() {
            return;
        }
        let lookup = |(ahead, _): &Leased<R>| ahead.leader.key().lookup.clone();
        let lookups: Vec<Lookup<R::Entity>> = leased.iter().map(lookup).collect();
        for (ahead, _) in &leased {
            ahead.leader.step();
        }
        let lease_ttl = self.tiers().config.lease_ttl;
        let loading = tokio::time::timeout(lease_ttl, catch(self.load_many(&lookups)));
        match loading.await {
            Ok(Ok(Ok(found))) => self.fill_ahead(leased, found).await,
            // Dropped, the leads pass to readers that wait, which load by themselves.
            _ => self.give_up_ahead(leased.iter().map(|(ahead, _)| &ahead.flying)),
        }
    }

    /// Asks for the right to fill. A guess without it is dropped.
    async fn acquire_ahead(&self, missing: Vec<Ahead<R>>) -> Vec<Leased<R>> {
        let tiers = self.tiers();
        let (mut asking, mut ops) = (Vec::new(), Vec::new());
        for mut ahead in missing {
            let token = Token::random();
            ahead.observation = ahead.leader.step();
            ops.push(Op::Acquire {
                key: ahead.key.clone(),
                token,
                lease: tiers.config.lease_ttl,
                observed: ahead.observed.clone(),
            });
            asking.push((ahead, token));
        }
        let replies = tiers.send(Traffic::Others, ops).await;
        let mut replies = replies.into_iter();
        let mut leased = Vec::new();
        for (ahead, token) in asking {
            let reply = replies.next().and_then(Result::ok);
            let asked = ahead.leader.key().asked();
            match self.judge_acquired(asked, (&ahead.key, token), ahead.context, reply) {
                Ok(lease) => leased.push((ahead, lease)),
                Err(Step::Serve(cached)) => self.arrived(ahead, &cached),
                #[cfg(test)]
                Err(_) if simulated::without(Rule::PrefetchOnlyFills) => {
                    let lease = Lease::new(tiers, &ahead.key, token);
                    leased.push((ahead, lease));
                }
                Err(_) => self.give_up_ahead(std::iter::once(&ahead.flying)),
            }
        }
        leased
    }

    async fn fill_ahead(&self, leased: Vec<Leased<R>>, found: Vec<Found<R::Entity>>) {
        let (mut filling, mut ops): (Vec<Filling<R>>, Vec<Op>) = Default::default();
        for ((ahead, lease), found) in leased.into_iter().zip(found) {
            let asked = ahead.leader.key().asked();
            self.invalidate_held(asked, &found, false);
            let replaces = ahead.observed.is_some();
            let (fill, operation) = (lease.stamp(), Operation::FindMany);
            match self.encode(asked, &found, ahead.context, fill, operation, replaces) {
                Ok(encoded) => {
                    let (value, cached) = encoded.split(found);
                    ops.push(lease.fill(value, cached.ttl));
                    filling.push((ahead, lease, cached));
                }
                Err(why) => {
                    self.uncacheable(&ahead.key, why, ahead.context);
                    self.give_up_ahead(std::iter::once(&ahead.flying));
                }
            }
        }
        if ops.is_empty() {
            return;
        }
        let tiers = self.tiers();
        // A reader that joins from here on must accept a local entry.
        let steps: Vec<u32> = filling.iter().map(|it| it.0.leader.step_fill()).collect();
        let traffic = Traffic::of_fill(Op::value_bytes(&ops));
        let replies = tiers.send(traffic, ops).await;
        let mut replies = replies.into_iter();
        for ((mut ahead, lease, cached), step) in filling.into_iter().zip(steps) {
            match replies.next() {
                Some(Ok(Reply::Filled(true))) => {
                    lease.spent();
                    tiers.record_event(&ahead.key, Event::Filled(cached.ttl));
                    ahead.observation = step;
                    self.arrived(ahead, &cached);
                    continue;
                }
                #[cfg(test)]
                _ if simulated::without(Rule::PrefetchOnlyFills) => {
                    self.arrived(ahead, &cached);
                    continue;
                }
                Some(Ok(_)) => {
                    lease.spent();
                    tiers.record_event(&ahead.key, Event::FillRefused);
                    increment(&tiers.statistics.fill_rejected);
                }
                // Possibly filled; giving the lease back removes no value.
                _ => drop(lease),
            }
            self.not_filled(ahead, cached);
        }
    }

    /// Ends the flight of a guess that Redis did not take. Readers that joined before its
    /// load have their result.
    fn not_filled(&self, ahead: Ahead<R>, cached: Cached<R::Entity>) {
        self.give_up_ahead(std::iter::once(&ahead.flying));
        let loaded_at = clock::wall().as_millisecond();
        let provenance = Provenance::source(loaded_at, None);
        let result = FlightResult::new(Ok(cached.found), provenance);
        ahead.leader.finish(Outcome {
            value: Arc::new(result),
            step: ahead.observation,
            shared_under: None,
        });
    }
}
