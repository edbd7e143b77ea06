//! A row that a write leaves in process, with the value that it leaves in Redis.
//!
//! A RELEASE that stores a value is as good as a GET that finds it: whoever
//! quarantines the key afterwards tells so, and the generations taken before it
//! was sent are raised by that. But its reply may be late, and a read of another
//! writer's row be answered meanwhile, whose message is later still; kept after
//! that, the older row would be served once more. So the RELEASE leads the
//! flight of its key, as such a read would have to. Where one is under way
//! already, the row is left to the next read.

use std::sync::Arc;

use super::flights::Lead;
use super::{Cached, Kind, Mark};
use crate::entity::Entity;
use crate::entity::lookup::Keyed;

/// A row whose RELEASE is about to be sent.
pub(crate) struct Leaving<E: Entity> {
    kind: Arc<Kind<E>>,
    keyed: Keyed<E>,
    stored: Cached<E>,
    mark: Mark,
    flights: Vec<Box<dyn Lead<E>>>,
}

impl<E: Entity> Kind<E> {
    /// Leads all flights of the key, until Redis has answered the RELEASE that
    /// is sent next; `None` if somebody else leads one, or nobody ever did.
    pub(crate) fn leave(
        self: &Arc<Self>,
        keyed: Keyed<E>,
        stored: Cached<E>,
        mark: Mark,
    ) -> Option<Leaving<E>> {
        let all = self.flights.lock();
        if all.is_empty() {
            // Who begins to read the kind here meanwhile could not be led.
            return None;
        }
        let led = all.values().map(Arc::clone);
        let led = led.map(|flights| flights.lead(&keyed, mark));
        let flights = led.collect::<Option<_>>()?;
        drop(all);
        Some(Leaving {
            kind: Arc::clone(self),
            keyed,
            stored,
            mark,
            flights,
        })
    }
}

impl<E: Entity> Leaving<E> {
    /// Redis has stored the value.
    pub(crate) fn left(self) {
        self.kind.keep(self.keyed.asked(), &self.stored, self.mark);
        for flight in self.flights {
            flight.finish(&self.stored, self.mark);
        }
    }
}
