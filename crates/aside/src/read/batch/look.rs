//! The beginning of a batch: one MGET.

use crate::answer::{Freshness, Tier};
use crate::entity::lookup::LookupRef;
use crate::insight::statistics::{Operation, Outcome};
use crate::protocol::Traffic;
use crate::read::ReadPath;
use crate::read::batch::own::{Own, Results, Unread, Wanted};
use crate::read::look::Step;
use crate::repository::Source;
use crate::runtime::clock;
use crate::tiers::breaking::Admissions;
use crate::tiers::kind::Cached;

impl<R: Source> ReadPath<R> {
    /// Sends one MGET before any flight is entered, and returns the lookups that it left
    /// unread. Without a local tier this is cheaper than a flight for each, and
    /// always fresh.
    pub(super) async fn look_first<'a>(
        &self,
        wanted: &[Wanted<'a, R>],
        results: &mut Results<R>,
        admissions: &mut Admissions,
        operation: Operation,
    ) -> Vec<Unread<'a, R>> {
        let (mut open, mut unread) = (Vec::new(), Vec::new());
        for wanted in wanted {
            let key = wanted.1.key(self.tiers().namespace());
            let context = self.context(&key);
            match self.batch_gate(&key, context, admissions) {
                Some(bypass) => unread.push((*wanted, Some(Step::LoadOnly(bypass)))),
                None => open.push((*wanted, key, context)),
            }
        }
        let keys = open.iter().map(|(_, key, _)| key.clone()).collect();
        let looked = self.tiers().get_many(traffic_of(operation), keys).await;
        let now = clock::wall();
        for ((wanted, _, context), got) in open.into_iter().zip(looked) {
            let asked = wanted.1;
            match self.judge(asked, &got, context, Freshness::Any, now) {
                Step::Serve(cached) => {
                    self.count_cached(asked, &cached, operation);
                    results.insert(wanted.0, cached.found);
                }
                step => unread.push((wanted, Some(step))),
            }
        }
        unread
    }

    /// Sends one MGET for the lookups that may ask Redis, and returns those that it left
    /// unread.
    pub(super) async fn look_up(&self, own: Vec<Own<R>>, results: &mut Results<R>) -> Vec<Own<R>> {
        let (mut open, mut unread): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|own| matches!(own.step, Step::Acquire(_)));
        if open.is_empty() {
            return unread;
        }
        let mut traffic = Traffic::Rows;
        for own in &mut open {
            own.observation = own.leader.step();
            traffic = traffic_of(own.operation);
        }
        let keys = open.iter().map(|own| own.key.clone()).collect();
        let (looked, now) = (self.tiers().get_many(traffic, keys).await, clock::wall());
        for (mut own, got) in open.into_iter().zip(looked) {
            let asked = own.leader.key().asked();
            match self.judge(asked, &got, own.context, Freshness::Any, now) {
                Step::Serve(cached) => self.finish_cached(own, &cached, results),
                step => {
                    own.step = step;
                    unread.push(own);
                }
            }
        }
        unread
    }

    fn count_cached(
        &self,
        asked: LookupRef<'_, R::Entity>,
        cached: &Cached<R::Entity>,
        operation: Operation,
    ) {
        let absent = cached.found.is_absence();
        let outcome = Outcome::of(Tier::Shared, None, absent);
        self.count(asked, operation, outcome, &cached.provenance());
        self.count_below(asked, operation, outcome);
        self.sample(asked, Some(cached.fill), &cached.found);
    }

    pub(super) fn finish_cached(
        &self,
        own: Own<R>,
        cached: &Cached<R::Entity>,
        results: &mut Results<R>,
    ) {
        self.count_cached(own.leader.key().asked(), cached, own.operation);
        results.insert(own.at, cached.found.clone());
        self.finish(own.leader, cached, own.context, own.observation);
    }
}

/// Returns the traffic of a batch. Lists may be large, and rows must not wait for them.
fn traffic_of(operation: Operation) -> Traffic {
    match operation {
        Operation::FindBy => Traffic::Lists,
        _ => Traffic::Rows,
    }
}
