//! The beginning of a batch: one MGET.

use crate::answer::{Freshness, Tier};
use crate::entity::lookup::LookupRef;
use crate::insight::statistics::{Operation, Outcome};
use crate::read::ReadPath;
use crate::read::batch::own::{Own, Rows, Unread, Wanted};
use crate::read::look::Step;
use crate::repository::Source;
use crate::runtime::clock;
use crate::tiers::breaking::Admissions;
use crate::tiers::kind::Cached;

impl<R: Source> ReadPath<R> {
    /// Sends one MGET before any flight is entered, and returns the ids that it left
    /// unread. Without a local tier this is cheaper than a flight for each, and
    /// always fresh.
    pub(super) async fn look_first<'a>(
        &self,
        wanted: &[Wanted<'a, R>],
        rows: &mut Rows<R>,
        admissions: &mut Admissions,
        operation: Operation,
    ) -> Vec<Unread<'a, R>> {
        let (mut open, mut unread) = (Vec::new(), Vec::new());
        for wanted in wanted {
            let key = LookupRef::<R::Entity>::Id(wanted.1).key(self.tiers().namespace());
            let context = self.context(&key);
            match self.batch_gate(&key, context, admissions) {
                Some(bypass) => unread.push((*wanted, Some(Step::LoadOnly(bypass)))),
                None => open.push((*wanted, key, context)),
            }
        }
        let keys = open.iter().map(|(_, key, _)| key.clone()).collect();
        let (looked, now) = (self.tiers().get_many(keys).await, clock::wall());
        for ((wanted, _, context), got) in open.into_iter().zip(looked) {
            let asked = LookupRef::Id(wanted.1);
            match self.judge(asked, &got, context, Freshness::Any, now) {
                Step::Serve(cached) => {
                    self.count_cached(asked, &cached, operation);
                    rows.insert(wanted.0, cached.found.into_row());
                }
                step => unread.push((wanted, Some(step))),
            }
        }
        unread
    }

    /// Sends one MGET for the ids that may ask Redis, and returns those that it left
    /// unread.
    pub(super) async fn look_up(&self, own: Vec<Own<R>>, rows: &mut Rows<R>) -> Vec<Own<R>> {
        let (mut open, mut unread): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|own| matches!(own.step, Step::Acquire(_)));
        if open.is_empty() {
            return unread;
        }
        for own in &mut open {
            own.observation = own.leader.step();
        }
        let keys = open.iter().map(|own| own.key.clone()).collect();
        let (looked, now) = (self.tiers().get_many(keys).await, clock::wall());
        for (mut own, got) in open.into_iter().zip(looked) {
            let asked = own.leader.key().asked();
            match self.judge(asked, &got, own.context, Freshness::Any, now) {
                Step::Serve(cached) => self.finish_cached(own, &cached, rows),
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
        self.count(operation, Outcome::of(Tier::Shared, None, absent));
        self.sample(asked, Some(cached.fill), &cached.found);
    }

    pub(super) fn finish_cached(
        &self,
        own: Own<R>,
        cached: &Cached<R::Entity>,
        rows: &mut Rows<R>,
    ) {
        self.count_cached(own.leader.key().asked(), cached, own.operation);
        rows.insert(own.at, cached.found.clone().into_row());
        self.finish(own.leader, cached, own.context, own.observation);
    }
}
