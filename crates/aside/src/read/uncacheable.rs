//! Reads of what cannot be cached: found out once, passed by after that.
//!
//! They go to the database one beside the other, in their callers' own futures,
//! as without a cache. A flight would make the second of two readers wait for a
//! load that began before it asked, and then for one of its own.

use crate::answer::Bypass;
use crate::entity::key::Key;
use crate::entity::lookup::{Asked, Found};
use crate::insight::statistics::Operation;
use crate::read::ReadPath;
use crate::read::result::ReadResult;
use crate::repository::Source;
use crate::runtime::clock;
use crate::tiers::kind::{Encoded, Mark};
use crate::tiers::uncacheable::{Known, Why};

impl<R: Source> ReadPath<R> {
    /// Writes an answer in the form of Redis. `again` if what stood there could
    /// not be read: then this one must be readable, or each read would replace it.
    pub(super) fn encode(
        &self,
        asked: Asked<'_, R::Entity>,
        found: &Found<R::Entity>,
        mark: Mark,
        again: bool,
    ) -> Result<Encoded, Why> {
        let encoded = self.kind.encode(asked, found, mark.circumstance)?;
        let readable = |encoded: &Encoded| {
            let now = clock::wall();
            let ours = mark.circumstance;
            self.kind.decode(asked, &encoded.value, ours, now).is_ok()
        };
        if again && !readable(&encoded) {
            return Err(Why::Unreadable);
        }
        Ok(encoded)
    }

    /// Remembers that the value of a key, loaded under `mark`, cannot be cached;
    /// how its reads say so.
    pub(super) fn uncacheable(&self, key: &Key, why: Why, mark: Mark) -> Bypass {
        let tiers = self.tiers();
        if let Some(label) = why.label() {
            tiers.statistics.error(label);
            self.kind.say_uncacheable(why);
        }
        tiers
            .uncacheable
            .remember(key, why, mark.stamp, self.kind.ttl);
        tracing::debug!(key = key.as_str(), because = why.as_str(), "not cacheable");
        why.bypass()
    }

    /// Reads what is known not to be cacheable.
    pub(super) async fn pass(
        &self,
        asked: Asked<'_, R::Entity>,
        key: &Key,
        known: Known,
        operation: Operation,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
        let mark = self.mark(key);
        let found = self.load(&asked.to_lookup(), operation).await?;
        if known.is_due {
            self.try_again(asked, key, &found, mark);
        }
        self.outdate_passed(key);
        Ok(ReadResult::loaded(found, Some(known.why.bypass())))
    }

    /// Finds out whether a value could be cached by now. Without a lease, so that
    /// the instances that know it do not wait for each other once more.
    fn try_again(
        &self,
        asked: Asked<'_, R::Entity>,
        key: &Key,
        found: &Found<R::Entity>,
        mark: Mark,
    ) {
        match self.encode(asked, found, mark, true) {
            Err(why) => {
                self.uncacheable(key, why, mark);
            }
            // How long it travels is found out by sending it: by the next read.
            Ok(_) => self.tiers().uncacheable.forget(key),
        }
    }

    /// The database has answered a read that passed this process by. Nothing is
    /// held of a key for as long as it is known not to be cacheable; if it no
    /// longer is, an older row may be on its way in.
    pub(super) fn outdate_passed(&self, key: &Key) {
        let tiers = self.tiers();
        if !tiers.uncacheable.is_known(key) {
            tiers.stripes.forget(key.hash());
        }
    }
}
