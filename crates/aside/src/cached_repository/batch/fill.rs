//! The end of a batch: one pipeline of FILLs, and the outcome of every flight.

use std::sync::Arc;

use super::{Own, Way};
use crate::answer::Tier;
use crate::cached_repository::CachedRepository;
use crate::cached_repository::lease::Lease;
use crate::entity::lookup::Found;
use crate::insight::audit::Event;
use crate::insight::statistics::{Operation, Outcome, raise};
use crate::local::flight;
use crate::protocol::{Op, Reply};
use crate::repository::{Repository, Row};
use crate::runtime::clock;
use crate::tiers::kind::{Landed, Mark, Stored};

/// A row on its way to Redis.
struct Filling<R: Repository> {
    own: Own<R>,
    lease: Lease,
    stored: Stored<R::Entity>,
    /// The step of its FILL.
    step: u32,
}

impl<R: Repository> CachedRepository<R> {
    /// One pipeline of FILLs, and the end of every flight of the batch.
    pub(super) async fn fill(&self, own: Vec<Own<R>>, loaded: Vec<Option<Row<R>>>) {
        let loaded_at = clock::wall().as_millisecond();
        let (mut filling, mut ops) = (Vec::new(), Vec::new());
        for (mut own, row) in own.into_iter().zip(loaded) {
            let found = Found::Row(row);
            let (bypass, lease) = match std::mem::replace(&mut own.way, Way::Open(None)) {
                Way::Bypass(bypass) => (Some(bypass), None),
                Way::Granted(lease) => (None, Some(lease)),
                Way::Open(_) => (None, None),
            };
            self.count(
                Operation::FindMany,
                Outcome::of(Tier::Source, bypass, found.is_absence()),
            );
            let Some(lease) = lease else {
                own.land(Landed::loaded(found, bypass, loaded_at), None);
                continue;
            };
            let asked = own.leader.key().asked();
            let encoded = match self.encode(asked, &found, own.mark, own.again) {
                Ok(encoded) => encoded,
                Err(why) => {
                    let bypass = self.uncacheable(&own.key, why, own.mark);
                    own.land(Landed::loaded(found, Some(bypass), loaded_at), None);
                    continue;
                }
            };
            let (value, stored) = encoded.split(found);
            ops.push(lease.fill(value, stored.ttl));
            let step = 0;
            filling.push(Filling {
                own,
                lease,
                stored,
                step,
            });
        }
        if ops.is_empty() {
            return;
        }
        for filling in &mut filling {
            filling.step = filling.own.leader.step_fill();
        }
        let tiers = self.tiers();
        let replies = tiers
            .ask(tiers.lane_for(Op::value_bytes(&ops)), ops)
            .await
            .unwrap_or_default();
        let mut replies = replies.into_iter();
        for Filling {
            mut own,
            lease,
            stored,
            step,
        } in filling
        {
            let mut mark = None;
            match replies.next() {
                Some(Ok(Reply::Filled(true))) => {
                    lease.spent();
                    tiers.note(&own.key, Event::Filled);
                    self.kind.keep(own.leader.key().asked(), &stored, own.mark);
                    own.step = step;
                    mark = Some(own.mark);
                }
                Some(Ok(_)) => {
                    lease.spent();
                    tiers.note(&own.key, Event::FillRefused);
                    raise(&tiers.statistics.fill_rejected);
                }
                // Perhaps filled: it is given back, which harms no value.
                _ => drop(lease),
            }
            let ttl = Some(stored.ttl);
            let landed = Landed::loaded(stored.found, None, loaded_at);
            own.land(Landed { ttl, ..landed }, mark);
        }
    }
}

impl<R: Repository> Own<R> {
    /// Ends the flight; `mark` if the fill was accepted under it.
    fn land(self, landed: Landed<R::Entity, R::Error>, mark: Option<Mark>) {
        self.leader.finish(flight::Outcome {
            value: Arc::new(landed),
            step: self.step,
            shared_under: mark,
        });
    }
}
