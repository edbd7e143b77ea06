//! The source of lists of ids: the lists of the rows' source.
//!
//! A load brings the rows as well. They answer the readers of that load, and are stored
//! nowhere: a lease for a row whose id was not known would be asked for after the load.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Memory};

use parking_lot::Mutex;

use crate::entity::listed_id::{ListedId, LoadedRows};
use crate::entity::lookup::LookupRef;
use crate::entity::{Entity, Rows};
use crate::repository::{Id, Index, Overloaded, Row, Source};

/// The number of loads that have begun.
static LOADS: AtomicU64 = AtomicU64::new(0);

pub(super) struct IdSource<R: Source> {
    rows: Arc<R>,
    /// True if a list in another order than the declared one has been logged.
    is_told: AtomicBool,
}

impl<R: Source> IdSource<R> {
    pub(super) fn new(rows: Arc<R>) -> Self {
        let is_told = AtomicBool::new(false);
        Self { rows, is_told }
    }

    /// Returns the ids of a list that was loaded.
    fn ids(&self, index: &Index<R>, rows: &Rows<R::Entity>, load: u64) -> Ids<R> {
        let list = LookupRef::<R::Entity>::Index(index);
        let is_misplaced = !rows.iter().all(|row| list.admits(row));
        if !are_in_order(rows, index) && !self.is_told.swap(true, Memory::Relaxed) {
            tracing::error!(
                kind = R::Entity::KIND,
                index = ?index,
                "a list of ids is not in the order that its attribute declares, so each read \
                 loads it: declare the order of the statement"
            );
        }
        let mut loaded = Some(Arc::new(LoadedRows {
            load,
            rows: Mutex::new(Some(Arc::clone(rows))),
        }));
        let listed = rows.iter().map(|row| ListedId {
            id: row.id().clone(),
            loaded: loaded.take(),
            is_misplaced,
        });
        listed.map(Arc::new).collect()
    }
}

type Ids<R> = Rows<ListedId<<R as Source>::Entity>>;

/// Returns a number that no load has which began before.
pub(super) fn loads_begun() -> u64 {
    LOADS.load(Memory::SeqCst)
}

/// Returns the rows of a list, if it was loaded by a load that began after `begun` was
/// taken, and no other reader has taken them. Earlier rows are dropped.
pub(super) fn take_loaded<E: Entity>(ids: &Rows<ListedId<E>>, begun: u64) -> Option<Rows<E>> {
    let loaded = ids.first()?.loaded.as_ref()?;
    let rows = loaded.rows.lock().take();
    rows.filter(|_| begun <= loaded.load)
}

/// Returns true if rows are in the declared order of a list, in one direction each, or
/// if none is declared.
pub(super) fn are_in_order<E: Entity>(rows: &[Arc<E>], index: &E::Index) -> bool {
    rows.is_sorted_by(|one, next| one.compare_in(next, index) != Some(Ordering::Greater))
}

impl<R: Source> Source for IdSource<R> {
    type Entity = ListedId<R::Entity>;
    type Error = R::Error;

    /// No row is read here.
    async fn find_by_id(&self, _: &Id<R>) -> Result<Option<Row<Self>>, R::Error> {
        Ok(None)
    }

    async fn find_by(&self, index: &Index<R>) -> Result<Ids<R>, R::Error> {
        let load = LOADS.fetch_add(1, Memory::SeqCst);
        let rows = self.rows.find_by(index).await?;
        Ok(self.ids(index, &rows, load))
    }

    async fn find_by_many(&self, indexes: &[Index<R>]) -> Result<Vec<Ids<R>>, R::Error> {
        let load = LOADS.fetch_add(1, Memory::SeqCst);
        let lists = self.rows.find_by_many(indexes).await?;
        if lists.len() != indexes.len() {
            // The caller finds the mistake by the number.
            return Ok(vec![Rows::<ListedId<R::Entity>>::from([]); lists.len()]);
        }
        let each = indexes.iter().zip(&lists);
        Ok(each
            .map(|(index, rows)| self.ids(index, rows, load))
            .collect())
    }

    async fn list_all(&self) -> Result<Ids<R>, R::Error> {
        Ok([].into())
    }

    fn overloaded(&self, why: Overloaded) -> R::Error {
        self.rows.overloaded(why)
    }
}
