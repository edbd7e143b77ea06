//! The local entry of a result.

use super::{Cached, Kind, ReadContext};
use crate::entity::Entity;
use crate::entity::lookup::Keyed;
use crate::insight::records::Arrived;
use crate::local::Entry;
use crate::runtime::clock::Moment;

impl<E: Entity> Kind<E> {
    /// Keeps a result locally, under the generations of its read.
    pub(crate) fn keep(&self, keyed: &Keyed<E>, stored: &Cached<E>, context: ReadContext) {
        self.record(keyed, stored);
        let Some(local) = &self.local else {
            return;
        };
        // First, because a row taken out of the buffer would replace a newer one here.
        self.prefetch.forget(keyed.key());
        local.insert(keyed.lookup.clone(), self.entry(stored, context));
    }

    /// Records a value, if its key is sampled.
    fn record(&self, keyed: &Keyed<E>, stored: &Cached<E>) {
        let value = || Arrived {
            fill: stored.fill,
            body: stored.body,
            age: stored.lifetime.saturating_sub(stored.ttl),
            ttl: stored.ttl,
        };
        let hash = keyed.key().hash();
        self.records.arrived(E::KIND, hash, &self.statistics, value);
    }

    /// Returns the local entry of a result.
    pub(crate) fn entry(&self, stored: &Cached<E>, context: ReadContext) -> Entry<E> {
        Entry {
            found: stored.found.clone(),
            stamp: context.stamp,
            epoch: context.fill_context.epoch,
            deadline: Moment::now().plus(self.local_ttl(stored)),
            loaded_at: stored.loaded_at,
            fill: stored.fill,
            payload_bytes: u32::try_from(stored.payload_bytes).unwrap_or(u32::MAX),
        }
    }
}
