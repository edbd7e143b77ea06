//! A row that a write leaves in process, with the value that it leaves in Redis.
//!
//! A RELEASE that stores a value is as good as a GET that finds it: whoever
//! quarantines the key afterwards tells so, and the generations taken before it
//! was sent are raised by that. But its reply may be late, and a read of another
//! writer's row be answered meanwhile, whose message is later still; kept after
//! that, the older row would be served once more. So the RELEASE leads the
//! flight of its key, as such a read would have to. Where one is under way
//! already, the row is left to the next read.

use std::any::Any;
use std::sync::Arc;

use super::{Kind, KindFlights, Landed, Mark, Stored};
use crate::entity::Entity;
use crate::flight::{Leader, Outcome};
use crate::lookup::Lookup;

/// The flights of one kind and one error type, for who does not know that.
pub(super) trait AnyFlights<E: Entity>: Send + Sync {
    fn lead(self: Arc<Self>, lookup: &Lookup<E>, mark: Mark) -> Option<Box<dyn Lead<E>>>;
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A flight that a RELEASE leads; dropped, it leaves the lead to who waits.
pub(super) trait Lead<E: Entity>: Send + Sync {
    fn finish(self: Box<Self>, stored: &Stored<E>, mark: Mark);
}

struct Led<E: Entity, X> {
    leader: Leader<Lookup<E>, Mark, Arc<Landed<E, X>>>,
    step: u32,
}

impl<E: Entity, X: Send + Sync + 'static> AnyFlights<E> for KindFlights<E, X> {
    fn lead(self: Arc<Self>, lookup: &Lookup<E>, mark: Mark) -> Option<Box<dyn Lead<E>>> {
        let leader = Self::lead(&self, lookup)?;
        leader.mark(mark);
        let step = leader.step_fill();
        Some(Box::new(Led { leader, step }))
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<E: Entity, X: Send + Sync + 'static> Lead<E> for Led<E, X> {
    fn finish(self: Box<Self>, stored: &Stored<E>, mark: Mark) {
        self.leader.finish(Outcome {
            value: Arc::new(Landed::stored(stored)),
            step: self.step,
            shared_under: Some(mark),
        });
    }
}

/// A row whose RELEASE is about to be sent.
pub(crate) struct Leaving<E: Entity> {
    kind: Arc<Kind<E>>,
    lookup: Lookup<E>,
    stored: Stored<E>,
    mark: Mark,
    flights: Vec<Box<dyn Lead<E>>>,
}

impl<E: Entity> Kind<E> {
    /// Leads all flights of the key, until Redis has answered the RELEASE that
    /// is sent next; `None` if somebody else leads one, or nobody ever did.
    pub(crate) fn leave(
        self: &Arc<Self>,
        lookup: Lookup<E>,
        stored: Stored<E>,
        mark: Mark,
    ) -> Option<Leaving<E>> {
        let all: Vec<_> = self.flights.lock().values().cloned().collect();
        if all.is_empty() {
            // Nobody reads the kind here, or is just about to.
            return None;
        }
        let led = all.into_iter().map(|flights| flights.lead(&lookup, mark));
        let flights = led.collect::<Option<_>>()?;
        Some(Leaving {
            kind: Arc::clone(self),
            lookup,
            stored,
            mark,
            flights,
        })
    }
}

impl<E: Entity> Leaving<E> {
    /// Redis has stored the value.
    pub(crate) fn left(self) {
        self.kind.keep(self.lookup.asked(), &self.stored, self.mark);
        for flight in self.flights {
            flight.finish(&self.stored, self.mark);
        }
    }
}
