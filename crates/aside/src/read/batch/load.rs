//! The load of a batch, with the right to fill or without, row by row.

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::resume_unwind;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::answer::{Bypass, Provenance};
use crate::entity::lookup::{Found, LookupRef};
use crate::insight::statistics::{Operation, Outcome, increment};
use crate::read::ReadPath;
use crate::read::batch::acquire::Right;
use crate::read::batch::own::{Own, Rows};
use crate::read::load::{LOOK_FOR_READERS, finish_failed};
use crate::read::source::{Loaded, catch};
use crate::repository::{Id, Row, Source};
use crate::runtime::task;
use crate::tiers::kind::Failed;
use crate::tiers::origin_guard;

impl<R: Source> ReadPath<R> {
    /// Asks for the right to fill each id, loads them together, fills. `caller` is
    /// closed when the caller of the batch is dropped.
    pub(super) async fn load_own(
        &self,
        own: Vec<Own<R>>,
        mut caller: oneshot::Sender<Infallible>,
    ) -> Result<Rows<R>, R::Error> {
        let mut rows = HashMap::new();
        let mut own = self.acquire_all(own, &mut rows).await;
        let ids: Vec<Id<R>> = own.iter().filter_map(|(own, _)| own.id()).collect();
        let places: Vec<usize> = own.iter().map(|(own, _)| own.at).collect();
        if ids.is_empty() {
            return Ok(rows);
        }
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
        let load = catch(self.load_many(&ids));
        let mut load = std::pin::pin!(origin_guard::within(place.clone(), load));
        let tiers = self.tiers();
        let attended = tiers
            .origin
            .attend(load.as_mut(), deserted(&mut caller, &own));
        let loaded = match tokio::time::timeout(tiers.config.lease_ttl, attended).await {
            Ok(Some(Ok(Ok(loaded)))) => loaded,
            Ok(Some(failed)) => return self.fail(own, failed),
            // No reader waits for it.
            Ok(None) => return Ok(rows),
            Err(_) => {
                // Redis would refuse the fills: other readers may load.
                for _ in own.iter().filter(|(_, right)| right.is_ok()) {
                    increment(&tiers.statistics.fill_rejected);
                }
                let operation = own
                    .first()
                    .map_or(Operation::FindMany, |(own, _)| own.operation);
                drop(own);
                place.iter().for_each(|place| place.leave());
                return tokio::select! {
                    biased;
                    loaded = load => {
                        rows.extend(self.outlast(&ids, (&places, operation), loaded)?);
                        Ok(rows)
                    }
                    () = caller.closed() => Ok(rows),
                };
            }
        };
        for ((own, right), row) in own.iter().zip(&loaded) {
            let found = Found::Row(row.clone());
            match right {
                Err(bypass) if bypass.is_uncacheable() => self.invalidate_passed(&own.key),
                right => self.invalidate_held(own.leader.key().asked(), &found, right.is_err()),
            }
        }
        rows.extend(places.into_iter().zip(loaded.iter().cloned()));
        self.fill_all(own, loaded).await;
        Ok(rows)
    }

    /// Shares a failure among all readers that wait for a row of the batch, once.
    fn fail(
        &self,
        own: Vec<(Own<R>, Right)>,
        failed: Loaded<Vec<Option<Row<R>>>, R::Error>,
    ) -> Result<Rows<R>, R::Error> {
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
        ids: &[Id<R>],
        (places, operation): (&[usize], Operation),
        loaded: Loaded<Vec<Option<Row<R>>>, R::Error>,
    ) -> Result<Rows<R>, R::Error> {
        let loaded = loaded.unwrap_or_else(|panic| resume_unwind(panic))?;
        for (id, row) in ids.iter().zip(&loaded) {
            self.count(operation, Outcome::Bypass);
            let late = Provenance::source(0, Some(Bypass::LeaseWait));
            self.count_reason(LookupRef::Id(id), Outcome::Bypass, &late);
            self.invalidate_held(LookupRef::Id(id), &Found::Row(row.clone()), true);
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
