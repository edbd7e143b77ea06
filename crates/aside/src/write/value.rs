//! The new row that a write leaves in the cache.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::entity::Entity;
use crate::entity::codec::{Codec as _, Json};
use crate::entity::key::Key;
use crate::entity::lookup::{Found, LookupRef};
use crate::protocol::BoxFuture;
use crate::protocol::value::{FillContext, KeyStamp};
use crate::tiers::Tiers;
use crate::tiers::kind::{Kind, Leaving};

/// A new row of any kind, which RELEASE may store under its id.
pub(super) trait NewValue: Send + Sync {
    /// Returns the conditions at the QUARANTINE of the key. The value is older
    /// than any invalidation or fill that began later.
    fn fill_context(&self) -> Option<FillContext>;
    /// Returns true if reads have returned rows like this one.
    fn is_shown(&self) -> bool;
    /// Reads the row from the database. Returns true if it is the same.
    fn prove<'a>(&'a self, tiers: &'a Tiers) -> BoxFuture<'a, bool>;
    /// Takes the fill context, just before the QUARANTINE of the key is sent.
    fn take_fill_context(&mut self, tiers: &Tiers, key: &Key);
    /// Encodes the value and its TTL, just before the RELEASE of the key is
    /// sent.
    fn encode(&mut self, tiers: &Tiers, key: &Key) -> Option<(Vec<u8>, Duration)>;
    /// Keeps the row locally after Redis has stored it.
    fn stored(self: Box<Self>);
}

pub(super) struct NewRow<E: Entity> {
    pub(super) kind: Arc<Kind<E>>,
    pub(super) row: Arc<E>,
    pub(super) fill_context: Option<FillContext>,
    pub(super) leaving: Option<Leaving<E>>,
    /// Of the encoded value.
    pub(super) ttl: Duration,
}

impl<E: Entity> NewRow<E> {
    /// Returns the row's fields as JSON. A codec may hide fields, so its text
    /// is used only if serde has none.
    fn fields(&self) -> Option<String> {
        let codec = self.kind.strategy.codec();
        let text = || Json.encode(&*self.row).or_else(|_| codec.encode(&self.row));
        // A panic must not fail a committed write.
        catch_unwind(AssertUnwindSafe(text)).ok()?.ok()
    }
}

impl<E: Entity> NewValue for NewRow<E> {
    fn fill_context(&self) -> Option<FillContext> {
        self.fill_context
    }

    fn is_shown(&self) -> bool {
        // A row without a text is rejected when it is encoded.
        self.fields().is_none_or(|text| self.kind.shown.has(&text))
    }

    fn prove<'a>(&'a self, tiers: &'a Tiers) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let Some(text) = self.fields() else {
                return false;
            };
            let read = self.kind.shown.read_back(self.row.id());
            let Ok(Ok(shown)) = timeout(self.kind.load_timeout, read).await else {
                return false;
            };
            let is_hidden = shown.is_none();
            let written = Found::Row(Some(Arc::clone(&self.row)));
            let same = Kind::is_same(&Found::Row(shown), &written);
            if same {
                self.kind.shown.add(&text);
            } else {
                tiers.statistics.error("write_not_shown");
                self.kind.shown.miss(is_hidden);
            }
            same
        })
    }

    fn take_fill_context(&mut self, tiers: &Tiers, key: &Key) {
        let history = tiers.shard_of(key).link.history();
        self.fill_context = Some(self.kind.fill_context(key, history));
    }

    fn encode(&mut self, tiers: &Tiers, key: &Key) -> Option<(Vec<u8>, Duration)> {
        let fill_context = self.fill_context?;
        let found = Found::Row(Some(Arc::clone(&self.row)));
        let asked = LookupRef::Id(self.row.id());
        // RELEASE with a value is sent once, so this stamp never comes back.
        let fill = KeyStamp::random();
        let encoded = self.kind.encode(asked, &found, fill_context, fill, 0.0);
        let encoded = encoded.map_err(|why| why.label().map(|label| tiers.statistics.error(label)));
        let (value, stored) = encoded.ok()?.split(found);
        let ttl = stored.ttl;
        self.ttl = ttl;
        let context = tiers.read_context(&self.kind, key);
        // If reads of the key must bypass Redis now, the row is not kept
        // locally either.
        if self.kind.local.is_some()
            && context.fill_context == fill_context
            && tiers.bypass_for(key).is_none()
        {
            let keyed = LookupRef::Id(self.row.id()).keyed(key);
            self.leaving = self.kind.leave(keyed, stored, context);
        }
        Some((value, ttl))
    }

    fn stored(self: Box<Self>) {
        if let Some(leaving) = self.leaving {
            leaving.left();
            if let Some(local) = &self.kind.local {
                local.left(LookupRef::Id(self.row.id()), self.ttl);
            }
        }
    }
}
