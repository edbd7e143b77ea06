//! Hit-for-pass: reads of keys that are known to be uncacheable.
//!
//! They query the database concurrently, each in its caller's own future, as
//! without a cache. In a flight, the second of two readers would wait for a
//! load that began before its request, and then for another one.

use crate::answer::Bypass;
use crate::entity::key::Key;
use crate::entity::lookup::{Found, LookupRef};
use crate::insight::statistics::Operation;
use crate::protocol::value::KeyStamp;
use crate::read::ReadPath;
use crate::read::result::ReadResult;
use crate::repository::Source;
use crate::runtime::clock;
use crate::tiers::kind::{Encoded, ReadContext};
use crate::tiers::uncacheable::{Known, Why};

/// The least part of a TTL that is random after a warm-up, which loads in seconds what
/// would otherwise be loaded over a TTL.
const WARM_UP_JITTER: f64 = 0.5;

impl<R: Source> ReadPath<R> {
    /// Encodes a result for Redis. `again` is true if the key's value could not
    /// be decoded: then this one must be decodable, or each read would replace
    /// it.
    pub(super) fn encode(
        &self,
        asked: LookupRef<'_, R::Entity>,
        found: &Found<R::Entity>,
        context: ReadContext,
        fill: KeyStamp,
        operation: Operation,
        again: bool,
    ) -> Result<Encoded, Why> {
        let least_jitter = match operation {
            Operation::WarmUp => WARM_UP_JITTER,
            _ => 0.0,
        };
        let ours = context.fill_context;
        let encoded = self.kind.encode(asked, found, ours, fill, least_jitter)?;
        let readable = |encoded: &Encoded| {
            let now = clock::wall();
            self.kind.decode(asked, &encoded.value, ours, now).is_ok()
        };
        if again && !readable(&encoded) {
            return Err(Why::Unreadable);
        }
        Ok(encoded)
    }

    /// Remembers that a key's value, loaded under `context`, cannot be cached.
    /// Returns the bypass of its reads.
    pub(super) fn uncacheable(&self, key: &Key, why: Why, context: ReadContext) -> Bypass {
        let tiers = self.tiers();
        if let Some(label) = why.label() {
            tiers.statistics.error(label);
            self.kind.say_uncacheable(why);
        }
        tiers
            .uncacheable
            .remember(key, why, context.stamp, self.kind.ttl);
        tracing::debug!(key = key.as_str(), because = why.as_str(), "not cacheable");
        why.bypass()
    }

    /// Reads a key that is known to be uncacheable.
    pub(super) async fn pass(
        &self,
        asked: LookupRef<'_, R::Entity>,
        key: &Key,
        known: Known,
        operation: Operation,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
        let context = self.context(key);
        let found = self.load(&asked.to_lookup(), operation).await?;
        if known.is_due {
            self.try_again(asked, key, &found, context, operation);
        }
        self.invalidate_passed(key);
        Ok(ReadResult::loaded(found, Some(known.why.bypass())))
    }

    /// Checks if the value can be cached now. Without a lease, so that other
    /// instances that know the key do not wait again.
    fn try_again(
        &self,
        asked: LookupRef<'_, R::Entity>,
        key: &Key,
        found: &Found<R::Entity>,
        context: ReadContext,
        operation: Operation,
    ) {
        match self.encode(asked, found, context, KeyStamp::random(), operation, true) {
            Err(why) => {
                self.uncacheable(key, why, context);
            }
            // The next read finds out by a FILL how long sending it takes.
            Ok(_) => self.tiers().uncacheable.forget(key),
        }
    }

    /// Handles a database result of a read that bypassed the local tier. An
    /// uncacheable key has no local entry. If it is cacheable again, an older
    /// row may be on its way into the local tier, so the key is invalidated.
    pub(super) fn invalidate_passed(&self, key: &Key) {
        let tiers = self.tiers();
        if !tiers.uncacheable.is_known(key) {
            tiers.generations.invalidate(key.hash());
        }
    }
}
