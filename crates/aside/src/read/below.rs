//! Counts of reads below this process, by index, and of rows that a write had left.

use crate::entity::lookup::LookupRef;
use crate::insight::indexes::LIST_OF_ALL;
use crate::insight::statistics::{Operation, Outcome};
use crate::read::ReadPath;
use crate::repository::Source;

impl<R: Source> ReadPath<R> {
    /// Counts a read that the local tier did not serve.
    pub(super) fn count_below(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
        outcome: Outcome,
    ) {
        if let (Some(local), Outcome::L2Hit) = (&self.kind.local, outcome) {
            local.read_below(asked);
        }
        let index = match asked {
            LookupRef::Id(_) => return,
            LookupRef::Index(_) => asked.index_name(),
            LookupRef::All => LIST_OF_ALL.to_owned(),
        };
        let indexes = &self.kind.statistics.indexes;
        match operation {
            Operation::WarmUp => indexes.warmed(&index),
            _ => indexes.read(&index, outcome),
        }
    }
}
