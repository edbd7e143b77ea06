//! Rows and lists that a strategy declares to be read after a row.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::answer::Freshness;
use crate::entity::Entity;
use crate::entity::following::{Followed, Following};
use crate::entity::lookup::Found;
use crate::entity::namespace::Namespace;
use crate::entity::strategy::CacheStrategy;
use crate::insight::statistics::Operation;
use crate::prefetch::Rest;
use crate::read::{ReadPath, source};
use crate::repository::Source;

/// The number of the first rows of a list whose keys are expected to be read.
const FIRST_ROWS: usize = 16;

/// The maximum number of rows that are asked for their keys, because a reader waits for
/// that.
const MAX_ROWS: usize = 512;

/// The number of rows from which a list may be gone through one by one.
const MIN_ROWS: usize = 3;

impl<R: Source> ReadPath<R> {
    /// Fetches the keys that a result names, if callers usually read them. A row names
    /// them at once, and a list after its reader has begun to go through it.
    pub(crate) fn follow(
        &self,
        operation: Operation,
        freshness: Freshness,
        found: &Found<R::Entity>,
    ) {
        let Some(ear) = self.ear.as_ref().filter(|ear| ear.is_listening()) else {
            return;
        };
        if freshness != Freshness::Any || source::is_in_a_load() {
            return;
        }
        let (strategy, namespace) = (&*self.kind.strategy, self.tiers().namespace());
        match (operation, found) {
            (Operation::FindById, Found::Row(Some(row))) => {
                let followed = followed(strategy, namespace, std::slice::from_ref(row));
                ear.follow(&followed, || self.may_guess());
            }
            (Operation::FindBy | Operation::ListAll, Found::List(rows))
                if MIN_ROWS <= rows.len() =>
            {
                let first = &rows[..rows.len().min(FIRST_ROWS)];
                let first = followed(strategy, namespace, first);
                if !first.is_empty() {
                    ear.list(&first, self.rest_of(rows));
                }
            }
            _ => {}
        }
    }

    /// Returns the keys that all rows of a list name, as long as a caller has it.
    fn rest_of(&self, rows: &Arc<[Arc<R::Entity>]>) -> Rest {
        let kind = Arc::downgrade(&self.kind);
        let tiers = Arc::downgrade(self.tiers());
        let rows = Arc::downgrade(rows);
        Arc::new(move || {
            let (kind, tiers, rows) = (kind.upgrade(), tiers.upgrade(), rows.upgrade());
            let (Some(kind), Some(tiers), Some(rows)) = (kind, tiers, rows) else {
                return Vec::new();
            };
            let rows = &rows[..rows.len().min(MAX_ROWS)];
            followed(&*kind.strategy, tiers.namespace(), rows)
        })
    }
}

/// Returns the keys that rows name, in their order. A panic of the strategy names none:
/// the caller has its result.
fn followed<E: Entity>(
    strategy: &dyn CacheStrategy<E>,
    namespace: Namespace<'_>,
    rows: &[Arc<E>],
) -> Vec<Followed> {
    let mut all = Vec::new();
    let mut each = |followed| all.push(followed);
    let mut following = Following::new(namespace, &mut each);
    let name_all = || {
        rows.iter()
            .for_each(|row| strategy.follow(row, &mut following))
    };
    if catch_unwind(AssertUnwindSafe(name_all)).is_err() {
        all.clear();
    }
    all
}
