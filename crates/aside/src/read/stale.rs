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

use crate::entity::lookup::{Asked, Found};
use crate::insight::statistics::Operation;
use crate::local::{Entry, Kept};
use crate::read::ReadPath;
use crate::read::result::ReadResult;
use crate::repository::{Id, Row, Source};
use crate::runtime::clock::Moment;
use crate::tiers::kind::Kind;

impl<R: Source> ReadPath<R> {
    /// What this process holds, if it may be served for want of a better one.
    pub(super) fn stale(&self, asked: Asked<'_, R::Entity>) -> Option<ReadResult<R::Entity>> {
        let limit = self.kind.strategy.stale_if_error()?;
        let store = self.kind.in_process.as_ref()?;
        let now = Moment::now();
        let (entry, behind) = store.stale(asked, now, limit)?;
        let mut result = ReadResult::local(entry);
        result.stale = Some(behind);
        // Not for the audit, which would rightly find it behind.
        result.provenance.fill = None;
        Some(result)
    }

    /// The same for some of the rows of a batch; counted.
    pub(super) fn stale_row(&self, id: &Id<R>) -> Option<Option<Row<R>>> {
        let served = self.stale(Asked::Id(id))?;
        self.count(Operation::FindMany, served.outcome());
        Some(served.found.into_row())
    }

    /// The database has answered an `Any` read: nothing else that is held of
    /// the same is served any more, stale or not.
    ///
    /// A bypass passes by what is held here as well, for want of a proof, say,
    /// that comes a moment later and would make it valid again; and by what is
    /// still on its way in. So it forgets the key, and where the very same is
    /// held, and may be wanted, goes on holding that.
    pub(super) fn outdate_held(
        &self,
        asked: Asked<'_, R::Entity>,
        seen: &Found<R::Entity>,
        bypassed: bool,
    ) {
        let Some(store) = &self.kind.in_process else {
            return;
        };
        let wanted = self.kind.strategy.stale_if_error().is_some();
        let held = wanted.then(|| store.held(asked)).flatten();
        let same = held
            .as_ref()
            .is_some_and(|held| Kind::is_same(&held.found, seen));
        let stripes = &self.tiers().stripes;
        match held {
            Some(held) if same && bypassed => {
                if let Some(stamp) = stripes.renew(held.stamp) {
                    store.insert(asked.to_lookup(), Entry { stamp, ..held });
                    return;
                }
            }
            _ if same || !(bypassed || held.is_some()) => return,
            _ => {}
        }
        stripes.forget(asked.key(self.tiers().namespace()).hash());
    }

    /// A read skipped this process: no later `Any` read may return a value from before
    /// the one it saw. So unless the local entry is that very value, the entry is
    /// invalidated, and with it every older value that is about to be inserted.
    pub(super) fn outdate_skipped(&self, asked: Asked<'_, R::Entity>, seen: Option<u64>) {
        if self.kind.in_process.is_some() && (seen.is_none() || self.hit(asked, Kept::fill) != seen)
        {
            let key = asked.key(self.tiers().namespace());
            self.tiers().stripes.forget(key.hash());
        }
    }
}
