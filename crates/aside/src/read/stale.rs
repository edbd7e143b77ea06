//! Stale values, served if a strategy allows it (`stale-if-error`).
//!
//! The database has failed, or had no free slot for the read in time. A local
//! entry may then be served if no message since then concerned it, and if the
//! last proof that every message was received is within the strategy's limit. A
//! write that this process missed returned after that proof, so the limit
//! bounds the staleness.
//!
//! A database result does not replace the local entry while the connection is
//! untrusted. A row that is read during its own write is the old one, and the
//! message about it may have arrived before. A different result only removes
//! the entry, because later reads must not return an older value.

use crate::entity::lookup::{Found, LookupRef};
use crate::local::{Entry, PackedEntry};
use crate::read::ReadPath;
use crate::read::result::ReadResult;
use crate::repository::Source;
use crate::runtime::clock::Moment;
use crate::tiers::kind::Kind;

impl<R: Source> ReadPath<R> {
    /// Returns the local entry, if it may be served stale.
    pub(super) fn stale(&self, asked: LookupRef<'_, R::Entity>) -> Option<ReadResult<R::Entity>> {
        let limit = self.kind.strategy.stale_if_error()?;
        let store = self.kind.local.as_ref()?;
        let now = Moment::now();
        let (entry, behind) = store.stale(asked, now, limit)?;
        let mut result = ReadResult::local(entry);
        result.stale = Some(behind);
        // Excluded from the audit, which would rightly find it stale.
        result.provenance.fill = None;
        Some(result)
    }

    /// Handles a database result of an `Any` read: no other value of the same
    /// key may be served afterwards, stale or not.
    ///
    /// A bypass ignores the local entry, for lack of a proof for example, which
    /// may arrive a moment later and make the entry valid again. It also
    /// ignores fills in progress. So the key is invalidated, except for an
    /// equal entry that may still be useful.
    pub(super) fn invalidate_held(
        &self,
        asked: LookupRef<'_, R::Entity>,
        seen: &Found<R::Entity>,
        bypassed: bool,
    ) {
        let Some(store) = &self.kind.local else {
            return;
        };
        self.forget_ahead(asked);
        let wanted = self.kind.strategy.stale_if_error().is_some();
        let held = wanted.then(|| store.entry(asked)).flatten();
        let same = held
            .as_ref()
            .is_some_and(|held| Kind::is_same(&held.found, seen));
        let generations = &self.tiers().generations;
        match held {
            Some(held) if same && bypassed => {
                if let Some(stamp) = generations.renew(held.stamp) {
                    store.insert(asked.to_lookup(), Entry { stamp, ..held });
                    return;
                }
            }
            _ if same || !(bypassed || held.is_some()) => return,
            _ => {}
        }
        generations.invalidate(asked.key(self.tiers().namespace()).hash());
    }

    /// A read skipped this process: no later `Any` read may return a value from before
    /// the one it saw. So unless the local entry is that very value, the entry is
    /// invalidated, and with it every older value that is about to be inserted.
    pub(super) fn invalidate_skipped(&self, asked: LookupRef<'_, R::Entity>, seen: Option<u64>) {
        self.forget_ahead(asked);
        if self.kind.local.is_some()
            && (seen.is_none() || self.hit(asked, PackedEntry::fill) != seen)
        {
            let key = asked.key(self.tiers().namespace());
            self.tiers().generations.invalidate(key.hash());
        }
    }
}
