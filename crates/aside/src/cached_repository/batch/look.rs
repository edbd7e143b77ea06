//! The beginning of a batch: one MGET, and what it shows.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Own, Rows, Wanted, Way};
use crate::answer::{Bypass, Freshness, Tier};
use crate::cached_repository::CachedRepository;
use crate::cached_repository::read::Looked;
use crate::entity::key::Key;
use crate::entity::lookup::Asked;
use crate::insight::statistics::{Operation, Outcome};
use crate::local::flight;
use crate::repository::Repository;
use crate::runtime::clock;
use crate::tiers::Got;
use crate::tiers::kind::{Landed, Mark, Stored};

impl<R: Repository> CachedRepository<R> {
    /// One MGET before any flight is entered; what it does not answer is given
    /// back. Without an in-process tier it is cheaper than a flight for each,
    /// and always fresh.
    pub(super) async fn look_first<'a>(
        &self,
        all: impl Iterator<Item = (Wanted<'a, R>, Key, Way)>,
        rows: &mut Rows<R>,
        turned_away: &mut impl FnMut() -> Option<Bypass>,
    ) -> Vec<(Wanted<'a, R>, Key, Way)> {
        let (mut open, mut left) = (Vec::new(), Vec::new());
        for (id, key, way) in all {
            let mark = self.mark(&key);
            let closed = self.closed(&key, mark).or_else(&mut *turned_away);
            match closed.or_else(|| self.known_uncacheable(&key)) {
                Some(bypass) => left.push((id, key, Way::Bypass(bypass))),
                None => open.push((id, key, way, mark)),
            }
        }
        let keys = open.iter().map(|(_, key, ..)| key.clone()).collect();
        let (looked, now) = (self.tiers().get_many(keys).await, clock::wall());
        for ((id, key, _, mark), value) in open.into_iter().zip(looked) {
            match self.way_after(Asked::Id(id.1), value, mark, now) {
                Ok(stored) => {
                    self.count_shared(Asked::Id(id.1), &stored);
                    rows.insert(id.0, stored.found.into_row());
                }
                Err(way) => left.push((id, key, way)),
            }
        }
        left
    }

    /// The value that a look has shown, or what is to be done about the id.
    fn way_after(
        &self,
        asked: Asked<'_, R::Entity>,
        value: Got,
        mark: Mark,
        now: Timestamp,
    ) -> Result<Stored<R::Entity>, Way> {
        let looked = match value {
            Ok(Some(value)) => self.judge(asked, &value, mark, Freshness::Any, now),
            Ok(None) => Looked::Miss(None),
            Err(_) => Looked::Failed,
        };
        Err(match looked {
            Looked::Hit(stored) => return Ok(stored),
            Looked::Quarantined => Way::Bypass(Bypass::WriteInFlight),
            Looked::Failed => Way::Bypass(Bypass::RedisUnavailable),
            Looked::Miss(_) | Looked::Leased(_) if !self.kind.strategy.cache_on_read() => {
                Way::Bypass(Bypass::Strategy)
            }
            Looked::Miss(observed) => Way::Open(observed),
            Looked::Leased(_) => Way::Open(None),
        })
    }

    fn count_shared(&self, asked: Asked<'_, R::Entity>, stored: &Stored<R::Entity>) {
        let absent = stored.found.is_absence();
        self.count(Operation::FindMany, Outcome::of(Tier::Shared, None, absent));
        self.sample(asked, Some(stored.fill), &stored.found);
    }

    /// One MGET; what it answers is finished, what it does not is given back.
    pub(super) async fn look_up(&self, own: Vec<Own<R>>, rows: &mut Rows<R>) -> Vec<Own<R>> {
        let (mut open, mut left): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|own| matches!(own.way, Way::Open(_)));
        if open.is_empty() {
            return left;
        }
        for own in &mut open {
            own.step = own.leader.step();
        }
        let keys = open.iter().map(|own| own.key.clone()).collect();
        let (looked, now) = (self.tiers().get_many(keys).await, clock::wall());
        for (mut own, value) in open.into_iter().zip(looked) {
            let asked = own.leader.key().asked();
            match self.way_after(asked, value, own.mark, now) {
                Ok(stored) => self.finish_hit(own, &stored, rows),
                Err(way) => {
                    own.way = way;
                    left.push(own);
                }
            }
        }
        left
    }

    pub(super) fn finish_hit(&self, own: Own<R>, stored: &Stored<R::Entity>, rows: &mut Rows<R>) {
        let asked = own.leader.key().asked();
        self.count_shared(asked, stored);
        self.kind.keep(asked, stored, own.mark);
        rows.insert(own.at, stored.found.clone().into_row());
        own.leader.finish(flight::Outcome {
            value: Arc::new(Landed::stored(stored)),
            step: own.step,
            shared_under: Some(own.mark),
        });
    }
}
