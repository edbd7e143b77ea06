//! The lookups of a batch: all of ids, or all of lists.

use std::collections::HashMap;
use std::sync::Arc;

use crate::entity::key::Key;
use crate::entity::lookup::{Found, LookupRef};
use crate::insight::statistics::Operation;
use crate::local::flight;
use crate::read::Leader;
use crate::read::load::Cause;
use crate::read::look::Step;
use crate::repository::Source;
use crate::tiers::kind::{FlightResult, ReadContext};

/// A lookup that the local tier cannot answer, and its place among those that differ.
pub(super) type Wanted<'a, R> = (usize, LookupRef<'a, <R as Source>::Entity>);

/// A lookup that a round has still to read, and the step that a look has led to.
pub(super) type Unread<'a, R> = (Wanted<'a, R>, Option<Step<<R as Source>::Entity>>);

/// The results of a batch, by the position of their lookup among those that differ.
pub(super) type Results<R> = HashMap<usize, Found<<R as Source>::Entity>>;

/// One lookup whose flight this batch leads.
pub(super) struct Own<R: Source> {
    /// The position among the lookups that differ.
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
