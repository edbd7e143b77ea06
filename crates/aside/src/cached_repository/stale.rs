//! Values served for want of better ones, where a strategy allows it.
//!
//! The database has failed, or had no turn for the read in time. What this
//! process holds may be served then if nothing was heard since that may mean
//! it, and if the last proof that everything had been heard is not longer ago
//! than the strategy's limit: a write that this process missed has returned
//! after that proof, so the limit bounds how far behind the value is.
//!
//! What the database answers while this process is deaf is not held in its
//! place. A row that is read while its write is under way is the one before it,
//! and the message that said so may have come already. It only ends what is
//! held, where that is another: no later read may go back behind it.

use crate::cached_repository::CachedRepository;
use crate::cached_repository::served::Served;
use crate::clock::Moment;
use crate::lookup::{Asked, Found};
use crate::repository::{Id, Repository, Row};
use crate::statistics::Operation;

impl<R: Repository> CachedRepository<R> {
    /// What this process holds, if it may be served for want of a better one.
    pub(super) fn stale(&self, asked: Asked<'_, R::Entity>) -> Option<Served<R::Entity>> {
        let limit = self.kind.strategy.stale_if_error()?;
        let store = self.kind.in_process.as_ref()?;
        let now = Moment::now();
        let (mut entry, behind) = store.stale(asked, self.kind.epoch(), now, limit)?;
        Some(Served {
            stale: Some(behind),
            // Not for the audit, which would rightly find it behind.
            fill: None,
            ..Served::in_process(&mut entry)
        })
    }

    /// The same for some of the rows of a batch; counted.
    pub(super) fn stale_row(&self, id: &Id<R>) -> Option<Option<Row<R>>> {
        let served = self.stale(Asked::Id(id))?;
        self.count(Operation::FindMany, served.outcome());
        Some(served.found.into_row())
    }

    /// The database has answered: what is held of the same is served stale no
    /// more, unless it is the very same.
    pub(super) fn outdate_stale(&self, asked: Asked<'_, R::Entity>, seen: &Found<R::Entity>) {
        if self.kind.strategy.stale_if_error().is_none() {
            return;
        }
        if let Some(store) = &self.kind.in_process
            && let Some(held) = store.held(asked)
            && !self.kind.is_same(&held, seen)
        {
            let key = asked.key(self.tiers().namespace());
            self.tiers().stripes.forget(key.hash());
        }
    }
}
