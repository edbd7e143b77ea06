//! The load of a batch, with the right to fill or without, lookup by lookup.

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::resume_unwind;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::answer::{Bypass, Provenance};
use crate::entity::lookup::{Found, Lookup};
use crate::insight::statistics::{Operation, Outcome, increment};
use crate::read::ReadPath;
use crate::read::batch::acquire::Right;
use crate::read::batch::own::{Own, Results};
use crate::read::load::{LOOK_FOR_READERS, finish_failed};
use crate::read::source::{Loaded, catch};
use crate::repository::Source;
use crate::runtime::task;
use crate::tiers::kind::Failed;
use crate::tiers::origin_guard;

impl<R: Source> ReadPath<R> {
    /// Asks for the right to fill each lookup, loads them together, fills. `caller` is
    /// closed when the caller of the batch is dropped.
    pub(super) async fn load_own(
        &self,
        own: Vec<Own<R>>,
        mut caller: oneshot::Sender<Infallible>,
    ) -> Result<Results<R>, R::Error> {
        let mut results = HashMap::new();
        let mut own = self.acquire_all(own, &mut results).await;
        let lookup = |(own, _): &(Own<R>, Right)| own.leader.key().asked().to_lookup();
        let lookups: Vec<Lookup<R::Entity>> = own.iter().map(lookup).collect();
        let places: Vec<usize> = own.iter().map(|(own, _)| own.at).collect();
        let Some((first, _)) = own.first() else {
            return Ok(results);
        };
        let operation = first.operation;
        let is_outage = |right: &Right| matches!(right, Err(bypass) if bypass.is_outage());
        let outage = own.iter().any(|(_, right)| is_outage(right));
        let place = match self.place_for(outage).await {
            Ok(place) => place,
            Err(turned_away) => return self.fail(own, turned_away),
        };
        for (own, right) in &mut own {
            own.observation = match right {
                Ok(_) => own.leader.step(),
                Err(bypass) => {
                    self.count_bypass(*bypass);
                    own.leader.step_bypass()
                }
            };
        }
        let load = catch(self.load_many(&lookups));
        let mut load = std::pin::pin!(origin_guard::within(place.clone(), load));
        let tiers = self.tiers();
        let attended = tiers
            .origin
            .attend(load.as_mut(), deserted(&mut caller, &own));
        let loaded = match tokio::time::timeout(tiers.config.lease_ttl, attended).await {
            Ok(Some(Ok(Ok(loaded)))) => loaded,
            Ok(Some(failed)) => return self.fail(own, failed),
            // No reader waits for it.
            Ok(None) => return Ok(results),
            Err(_) => {
                // Redis would refuse the fills: other readers may load.
                for _ in own.iter().filter(|(_, right)| right.is_ok()) {
                    increment(&tiers.statistics.fill_rejected);
                }
                drop(own);
                place.iter().for_each(|place| place.leave());
                return tokio::select! {
                    biased;
                    loaded = load => {
                        results.extend(self.outlast(&lookups, (&places, operation), loaded)?);
                        Ok(results)
                    }
                    () = caller.closed() => Ok(results),
                };
            }
        };
        for ((own, right), found) in own.iter().zip(&loaded) {
            match right {
                Err(bypass) if bypass.is_uncacheable() => self.invalidate_passed(&own.key),
                right => self.invalidate_held(own.leader.key().asked(), found, right.is_err()),
            }
        }
        results.extend(places.into_iter().zip(loaded.iter().cloned()));
        self.fill_all(own, loaded).await;
        Ok(results)
    }

    /// Shares a failure among all readers that wait for a part of the batch, once.
    fn fail(
        &self,
        own: Vec<(Own<R>, Right)>,
        failed: Loaded<Vec<Found<R::Entity>>, R::Error>,
    ) -> Result<Results<R>, R::Error> {
        let each = |(own, _lease): (Own<R>, Right)| {
            let failed = match &failed {
                Ok(Err(error)) => Failed::Error(error.clone()),
                _ => Failed::Panicked,
            };
            finish_failed(own.leader, failed)
        };
        // The caller does not wait for the pause before the next loads.
        task::spawn(join_all(own.into_iter().map(each).collect::<Vec<_>>()));
        match failed {
            Ok(Err(error)) => Err(error),
            Err(panic) => resume_unwind(panic),
            Ok(Ok(_)) => Ok(HashMap::new()),
        }
    }

    /// Returns the result of a load whose leases had expired, for its caller alone.
    fn outlast(
        &self,
        lookups: &[Lookup<R::Entity>],
        (places, operation): (&[usize], Operation),
        loaded: Loaded<Vec<Found<R::Entity>>, R::Error>,
    ) -> Result<Results<R>, R::Error> {
        let loaded = loaded.unwrap_or_else(|panic| resume_unwind(panic))?;
        for (lookup, found) in lookups.iter().zip(&loaded) {
            self.count_below(lookup.asked(), operation, Outcome::Bypass);
            let late = Provenance::source(0, Some(Bypass::LeaseWait));
            self.count(lookup.asked(), operation, Outcome::Bypass, &late);
            self.count_reason(lookup.asked(), Outcome::Bypass, &late);
            self.invalidate_held(lookup.asked(), found, true);
        }
        Ok(places.iter().copied().zip(loaded).collect())
    }
}

/// Resolves when neither the caller of a batch nor another reader waits for it.
async fn deserted<R: Source>(caller: &mut oneshot::Sender<Infallible>, own: &[(Own<R>, Right)]) {
    caller.closed().await;
    while own.iter().any(|(own, _)| own.leader.has_followers()) {
        tokio::time::sleep(LOOK_FOR_READERS).await;
    }
}
