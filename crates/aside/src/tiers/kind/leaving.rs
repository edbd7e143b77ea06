//! The local copy of a row that a write leaves in Redis.
//!
//! A RELEASE that stores a value is equivalent to a GET that finds it: a later
//! quarantine of the key publishes a message, which increments the generations
//! taken before the RELEASE was sent. But its reply may be late. Meanwhile a
//! read may return another writer's row, whose message is later still; if the
//! older row were kept then, it would be served once more. So the RELEASE leads
//! the flight of its key, as such a read would have to. If a flight is in
//! progress, the next read keeps the row instead.

use std::sync::Arc;

use super::flights::Lead;
use super::{Cached, Kind, ReadContext};
use crate::entity::Entity;
use crate::entity::lookup::Keyed;

/// A row whose RELEASE is about to be sent.
pub(crate) struct Leaving<E: Entity> {
    kind: Arc<Kind<E>>,
    keyed: Keyed<E>,
    stored: Cached<E>,
    context: ReadContext,
    flights: Vec<Box<dyn Lead<E>>>,
}

impl<E: Entity> Kind<E> {
    /// Leads all flights of the key until Redis has replied to the next
    /// RELEASE. Returns `None` if one is in progress, or if there never was a
    /// flight of the kind.
    pub(crate) fn leave(
        self: &Arc<Self>,
        keyed: Keyed<E>,
        stored: Cached<E>,
        context: ReadContext,
    ) -> Option<Leaving<E>> {
        let all = self.flights.lock();
        if all.is_empty() {
            // A reader that starts the first flight in between could not be
            // led.
            return None;
        }
        let led = all.values().map(Arc::clone);
        let led = led.map(|flights| flights.lead(&keyed, context));
        let flights = led.collect::<Option<_>>()?;
        drop(all);
        Some(Leaving {
            kind: Arc::clone(self),
            keyed,
            stored,
            context,
            flights,
        })
    }
}

impl<E: Entity> Leaving<E> {
    /// Keeps the row after Redis has stored the value.
    pub(crate) fn left(self) {
        self.kind.keep(&self.keyed, &self.stored, self.context);
        for flight in self.flights {
            flight.finish(&self.stored, self.context);
        }
    }
}
