//! Flights of one kind, separated by the readers' error type.

use std::any::{Any, TypeId};
use std::sync::Arc;

use tracing::Span;

use super::{Cached, Kind, ReadContext};
use crate::answer::Provenance;
use crate::entity::Entity;
use crate::entity::lookup::{Found, Keyed};
use crate::local::flight::{Flights, Leader, Outcome};

/// Flights of one kind whose loads fail with `X`.
pub(crate) type KindFlights<E, X> = Flights<Keyed<E>, ReadContext, Arc<FlightResult<E, X>>>;

/// The result of a flight, shared by its readers.
pub(crate) struct FlightResult<E, X> {
    pub(crate) result: Result<Found<E>, Failed<X>>,
    pub(crate) provenance: Provenance,
    /// That of the caller that led.
    span: Span,
}

impl<E, X> FlightResult<E, X> {
    /// Returns the result of a flight that this task led.
    pub(crate) fn new(result: Result<Found<E>, Failed<X>>, provenance: Provenance) -> Self {
        Self {
            result,
            provenance,
            span: Span::current(),
        }
    }

    /// Tells `tracing` that the current span waited for that of the leader, so that a
    /// trace of its request names the statement.
    pub(crate) fn link_span(&self) {
        Span::current().follows_from(&self.span);
    }
}

/// The reason why a load failed.
pub(crate) enum Failed<X> {
    Error(X),
    /// The repository panicked; all readers that share the load panic as well.
    Panicked,
}

impl<E: Entity> Kind<E> {
    /// Returns the flights that share errors of type `X`.
    pub(crate) fn flights<X: Send + Sync + 'static>(&self) -> Arc<KindFlights<E, X>> {
        let mut flights = self.flights.lock();
        let any = flights
            .entry(TypeId::of::<X>())
            .or_insert_with(|| Arc::new(KindFlights::<E, X>::new()));
        Arc::clone(any)
            .as_any()
            .downcast()
            .expect("stored under its own type")
    }
}

/// The flights of one kind and one error type, with the error type erased.
pub(super) trait AnyFlights<E: Entity>: Send + Sync {
    fn lead(self: Arc<Self>, keyed: &Keyed<E>, context: ReadContext) -> Option<Box<dyn Lead<E>>>;
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A flight led by a RELEASE; if dropped, the lead passes to a waiting reader.
pub(super) trait Lead<E: Entity>: Send + Sync {
    fn finish(self: Box<Self>, stored: &Cached<E>, context: ReadContext);
}

struct Led<E: Entity, X> {
    leader: Leader<Keyed<E>, ReadContext, Arc<FlightResult<E, X>>>,
    step: u32,
}

impl<E: Entity, X: Send + Sync + 'static> AnyFlights<E> for KindFlights<E, X> {
    fn lead(self: Arc<Self>, keyed: &Keyed<E>, context: ReadContext) -> Option<Box<dyn Lead<E>>> {
        let leader = Self::lead(&self, keyed)?;
        leader.set_context(context);
        let step = leader.step_fill();
        Some(Box::new(Led { leader, step }))
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<E: Entity, X: Send + Sync + 'static> Lead<E> for Led<E, X> {
    fn finish(self: Box<Self>, stored: &Cached<E>, context: ReadContext) {
        self.leader.finish(Outcome {
            value: Arc::new(stored.flight_result()),
            step: self.step,
            shared_under: Some(context),
        });
    }
}
