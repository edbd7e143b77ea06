//! The beginning of a fetched guess: its flight, and one MGET.

use crate::answer::Freshness;
use crate::entity::lookup::LookupRef;
use crate::insight::statistics::Guessed;
use crate::prefetch::Guess;
use crate::protocol::Traffic;
use crate::read::ReadPath;
use crate::read::look::Step;
use crate::read::prefetch::Ahead;
use crate::repository::Source;
use crate::runtime::clock;
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};
use crate::tiers::breaking::Admissions;

impl<R: Source> ReadPath<R> {
    /// Leads the flights of the guesses that may be fetched. A key that another reader
    /// reads needs no guess.
    pub(super) fn lead_ahead(&self, guesses: Vec<Guess<R::Entity>>) -> Vec<Ahead<R>> {
        let tiers = self.tiers();
        let mut admissions = Admissions::default();
        let mut ahead = Vec::with_capacity(guesses.len());
        for Guess { lookup, flying } in guesses {
            let key = lookup.asked().key(tiers.namespace());
            let context = self.context(&key);
            let is_open = self.gate(&key, context).is_none()
                && tiers.admits_in_batch(&key, &mut admissions)
                && !tiers.uncacheable.is_known(&key);
            if !is_open {
                self.prefetch().count(&flying, Guessed::Refused);
                continue;
            }
            let Some(leader) = self.flights.lead(&lookup.asked().keyed(&key)) else {
                continue;
            };
            leader.set_context(context);
            // Looked at again under the flight, because a reader may have filled it.
            if !self.is_held(lookup.asked(), &key) {
                let observation = leader.step();
                ahead.push(Ahead {
                    leader,
                    key,
                    context,
                    flying,
                    observation,
                    observed: None,
                });
            }
        }
        ahead
    }

    fn is_held(&self, asked: LookupRef<'_, R::Entity>, key: &crate::entity::key::Key) -> bool {
        let local = self.kind.local.as_ref();
        local.is_none_or(|local| local.has(asked)) || self.prefetch().has(key)
    }

    /// Sends one MGET. Returns the guesses that Redis has no value of, and that may be
    /// filled.
    pub(super) async fn look_ahead(&self, ahead: Vec<Ahead<R>>) -> Vec<Ahead<R>> {
        let is_list = |ahead: &Ahead<R>| !matches!(ahead.leader.key().asked(), LookupRef::Id(_));
        let traffic = match ahead.iter().any(is_list) {
            true => Traffic::Lists,
            false => Traffic::Rows,
        };
        let keys = ahead.iter().map(|ahead| ahead.key.clone()).collect();
        let (looked, now) = (self.tiers().get_many(traffic, keys).await, clock::wall());
        let mut missing = Vec::new();
        for (mut ahead, got) in ahead.into_iter().zip(looked) {
            let asked = ahead.leader.key().asked();
            match self.judge(asked, &got, ahead.context, Freshness::Any, now) {
                Step::Serve(cached) => self.arrived(ahead, &cached),
                Step::Acquire(gone) => {
                    ahead.observed = gone.observed;
                    missing.push(ahead);
                }
                #[cfg(test)]
                Step::LoadOnly(_) if simulated::without(Rule::PrefetchOnlyFills) => {
                    missing.push(ahead);
                }
                Step::WaitForLease(_) | Step::LoadOnly(_) => {
                    self.prefetch().count(&ahead.flying, Guessed::Refused);
                }
            }
        }
        missing
    }
}
