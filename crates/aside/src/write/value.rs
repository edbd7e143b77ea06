//! The row that a write leaves behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::entity::Entity;
use crate::entity::codec::{Codec as _, Json};
use crate::entity::key::Key;
use crate::entity::lookup::{Asked, Found};
use crate::protocol::BoxFuture;
use crate::protocol::value::Circumstance;
use crate::tiers::Tiers;
use crate::tiers::kind::{Kind, Leaving, Mark};

/// What RELEASE may leave under an id, of whatever kind.
pub(super) trait NewValue: Send + Sync {
    /// Known before the QUARANTINE of the key: the value is older than
    /// whatever was forgotten, or begun, after that.
    fn stamp(&self) -> Option<Circumstance>;
    /// Returns true if reads have shown rows like this one.
    fn is_shown(&self) -> bool;
    /// Reads the row back from the database; returns true if it is the same.
    fn prove<'a>(&'a self, tiers: &'a Tiers) -> BoxFuture<'a, bool>;
    /// The QUARANTINE of the key is about to be sent.
    fn set_stamp(&mut self, key: &Key);
    /// The RELEASE of the key is about to be sent: what Redis is to store, and
    /// for how long.
    fn encode(&mut self, tiers: &Tiers, key: &Key) -> Option<(Vec<u8>, Duration)>;
    /// Redis has stored it.
    fn stored(self: Box<Self>);
}

pub(super) struct NewRow<E: Entity> {
    pub(super) kind: Arc<Kind<E>>,
    pub(super) row: Arc<E>,
    pub(super) stamp: Option<Circumstance>,
    pub(super) leaving: Option<Leaving<E>>,
}

impl<E: Entity> NewRow<E> {
    /// The row's fields as JSON. A codec may hide them, so its text is taken only
    /// where serde has none.
    fn fields(&self) -> Option<String> {
        let codec = self.kind.strategy.codec();
        let text = || Json.encode(&*self.row).or_else(|_| codec.encode(&self.row));
        // A panic fails no write that has been committed.
        catch_unwind(AssertUnwindSafe(text)).ok()?.ok()
    }
}

impl<E: Entity> NewValue for NewRow<E> {
    fn stamp(&self) -> Option<Circumstance> {
        self.stamp
    }

    fn is_shown(&self) -> bool {
        // What has no text is refused where it would be written.
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

    fn set_stamp(&mut self, key: &Key) {
        self.stamp = Some(self.kind.circumstance(key));
    }

    fn encode(&mut self, tiers: &Tiers, key: &Key) -> Option<(Vec<u8>, Duration)> {
        let stamp = self.stamp?;
        let found = Found::Row(Some(Arc::clone(&self.row)));
        let encoded = self.kind.encode(Asked::Id(self.row.id()), &found, stamp);
        let encoded = encoded.map_err(|why| why.label().map(|label| tiers.statistics.error(label)));
        let (value, stored) = encoded.ok()?.split(found);
        let ttl = stored.ttl;
        let mark = Mark {
            stamp: tiers.stripes.stamp(key.hash()),
            circumstance: self.kind.circumstance(key),
        };
        // What could not be read from Redis now is not to be had from here.
        if self.kind.in_process.is_some()
            && mark.circumstance == stamp
            && tiers.closed(key).is_none()
        {
            let keyed = Asked::Id(self.row.id()).keyed(key);
            self.leaving = self.kind.leave(keyed, stored, mark);
        }
        Some((value, ttl))
    }

    fn stored(self: Box<Self>) {
        if let Some(leaving) = self.leaving {
            leaving.left();
        }
    }
}
