//! The ids of a batch.

use std::collections::HashMap;
use std::sync::Arc;

use crate::entity::key::Key;
use crate::entity::lookup::Lookup;
use crate::insight::statistics::Operation;
use crate::local::flight;
use crate::read::Leader;
use crate::read::load::Cause;
use crate::read::look::Step;
use crate::repository::{Id, Row, Source};
use crate::tiers::kind::{FlightResult, ReadContext};

/// An id that the local tier does not have, and its place among those that differ.
pub(super) type Wanted<'a, R> = (usize, &'a Id<R>);

/// An id that a round has still to read, and the step that a look has led to.
pub(super) type Unread<'a, R> = (Wanted<'a, R>, Option<Step<<R as Source>::Entity>>);

/// The rows of a batch, by the position of their id among the distinct ids.
pub(super) type Rows<R> = HashMap<usize, Option<Row<R>>>;

/// One id whose flight this batch leads.
pub(super) struct Own<R: Source> {
    /// The position among the distinct ids.
    pub(super) at: usize,
    pub(super) leader: Leader<R>,
    pub(super) key: Key,
    pub(super) context: ReadContext,
    /// The observation of the flight that the result rests on.
    pub(super) observation: u32,
    pub(super) operation: Operation,
    /// Of its load.
    pub(super) cause: Cause,
    pub(super) step: Step<R::Entity>,
}

impl<R: Source> Own<R> {
    pub(super) fn id(&self) -> Option<Id<R>> {
        match &self.leader.key().lookup {
            Lookup::Id(id) => Some(id.clone()),
            Lookup::Index(_) | Lookup::All => None,
        }
    }

    /// Ends the flight; `shared_under` if the fill was accepted under it.
    pub(super) fn finish(
        self,
        result: FlightResult<R::Entity, R::Error>,
        shared_under: Option<ReadContext>,
    ) {
        self.leader.finish(flight::Outcome {
            value: Arc::new(result),
            step: self.observation,
            shared_under,
        });
    }
}
