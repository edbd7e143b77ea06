//! Lists of ids: the list has the ids of its rows, and each row is stored once.
//!
//! A reader gets the list and the rows at different moments. A row that is absent, does
//! not have the index value, or is not in its place by the fields of the order, shows that
//! list and row are of two moments, and not which is older. It is not left out: that would
//! answer a list that never was. List and rows are read again in the shared tier, once.
//! What does not fit then either is loaded by one `find_by`, which fills nothing. So each
//! answer is the list at one moment. `tests/models/id_lists` shows the reason for each
//! of these rules.

mod strategy;
mod source;

use std::sync::Arc;

use futures_util::future::try_join_all;

use crate::answer::Freshness;
use crate::entity::listed_id::ListedId;
use crate::entity::lookup::{Found, LookupRef};
use crate::entity::{Entity, Rows};
use crate::insight::statistics::Operation;
use crate::read::ReadPath;
use crate::read::result::ReadResult;
use crate::repository::{Id, Index, Row, Source};
use source::IdSource;
use strategy::OfIds;

/// The lists of ids of one kind.
pub(crate) struct IdLists<R: Source> {
    lists: ReadPath<IdSource<R>>,
    rows: ReadPath<R>,
}

/// A list of ids as it was read.
type Ids<R> = Rows<ListedId<<R as Source>::Entity>>;

impl<R: Source> IdLists<R> {
    /// Returns the lists of ids, if the kind has some.
    pub(crate) fn of(rows: &ReadPath<R>) -> Option<Self> {
        if !R::Entity::HAS_ID_LISTS {
            return None;
        }
        let strategy = &rows.kind.strategy;
        let owner = Arc::as_ptr(strategy).cast::<()>() as usize;
        let statistics = Arc::clone(&rows.kind.statistics);
        let kind = rows
            .tiers()
            .companion(owner, statistics, || Arc::new(OfIds(Arc::clone(strategy))));
        let source = Arc::new(IdSource::new(Arc::clone(&rows.source)));
        let mut lists = ReadPath::of(source, rows.cache.clone(), kind);
        lists.timeouts = rows.timeouts;
        Some(Self {
            lists,
            rows: rows.clone(),
        })
    }

    /// Returns the rows of a list, with the provenance of its ids.
    pub(crate) async fn read(
        &self,
        index: &Index<R>,
        freshness: Freshness,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
        let asked = LookupRef::Index(index);
        // A second read from a shorter limit could be older than asked.
        let attempts: &[Freshness] = match freshness {
            Freshness::Any | Freshness::Shared => &[freshness, Freshness::Shared],
            Freshness::AtMost(_) => &[freshness],
            Freshness::Source => &[],
        };
        for attempt in attempts {
            let begun = source::loads_begun();
            let result = self.lists.read(asked, Operation::FindBy, *attempt).await?;
            let ids = result.found.into_list();
            let rows = match source::take_loaded(&ids, begun) {
                Some(rows) => Some(rows),
                None => self.fitting(index, &ids, *attempt).await?,
            };
            if let Some(rows) = rows {
                return Ok(ReadResult {
                    found: Found::List(rows),
                    provenance: result.provenance,
                    stale: result.stale,
                });
            }
        }
        let asked = LookupRef::Index(index);
        self.rows
            .read(asked, Operation::FindBy, Freshness::Source)
            .await
    }

    /// Returns the rows of several lists, in the order of `indexes`.
    pub(crate) async fn read_many(
        &self,
        indexes: &[&Index<R>],
    ) -> Result<Vec<Rows<R::Entity>>, R::Error> {
        let begun = source::loads_begun();
        let asked = indexes.iter().map(|index| LookupRef::Index(*index));
        let lists = self.lists.read_many(asked, Operation::FindBy).await?;
        let lists: Vec<Ids<R>> = lists.into_iter().map(Found::into_list).collect();
        let loaded = lists.iter().map(|ids| source::take_loaded(ids, begun));
        let loaded: Vec<Option<Rows<R::Entity>>> = loaded.collect();
        let wanted = lists
            .iter()
            .zip(&loaded)
            .filter(|(_, loaded)| loaded.is_none());
        let wanted: Vec<&Id<R>> = wanted
            .flat_map(|(ids, _)| ids.iter().map(|listed| &listed.id))
            .collect();
        let mut rows = self.rows_of(&wanted).await?.into_iter();
        let mut answers = Vec::with_capacity(indexes.len());
        for ((index, ids), loaded) in indexes.iter().zip(&lists).zip(loaded) {
            let fitting = match loaded {
                Some(rows) => Some(rows),
                None => fit::<R>(index, rows.by_ref().take(ids.len()).collect()),
            };
            answers.push(match fitting {
                Some(rows) => rows,
                None => {
                    let again = self.read(index, Freshness::Shared);
                    Box::pin(again).await?.found.into_list()
                }
            });
        }
        Ok(answers)
    }

    /// Reads a list of ids for a warm-up.
    pub(crate) async fn warm_up(&self, index: &Index<R>) -> Result<(), R::Error> {
        let asked = LookupRef::Index(index);
        let read = self.lists.read(asked, Operation::WarmUp, Freshness::Any);
        let ids = read.await?.found.into_list();
        source::take_loaded(&ids, 0);
        Ok(())
    }

    /// Returns the rows of a list if they fit.
    async fn fitting(
        &self,
        index: &Index<R>,
        ids: &Ids<R>,
        freshness: Freshness,
    ) -> Result<Option<Rows<R::Entity>>, R::Error> {
        let rows = if freshness == Freshness::Any {
            let ids: Vec<&Id<R>> = ids.iter().map(|listed| &listed.id).collect();
            self.rows_of(&ids).await?
        } else {
            let each = ids.iter().map(async |listed| {
                let asked = LookupRef::Id(&listed.id);
                let read = self.rows.read(asked, Operation::FindMany, freshness);
                Ok(Box::pin(read).await?.found.into_row())
            });
            try_join_all(each).await?
        };
        Ok(fit::<R>(index, rows))
    }

    async fn rows_of(&self, ids: &[&Id<R>]) -> Result<Vec<Option<Row<R>>>, R::Error> {
        let asked = ids.iter().map(|id| LookupRef::Id(*id));
        let found = self.rows.read_many(asked, Operation::FindMany).await?;
        Ok(found.into_iter().map(Found::into_row).collect())
    }
}

/// Returns the rows if each is of the list, and in its place.
fn fit<R: Source>(index: &Index<R>, rows: Vec<Option<Row<R>>>) -> Option<Rows<R::Entity>> {
    let rows: Vec<Row<R>> = rows.into_iter().collect::<Option<_>>()?;
    let list = LookupRef::<R::Entity>::Index(index);
    let fits = rows.iter().all(|row| list.admits(row)) && source::are_in_order(&rows, index);
    fits.then(|| rows.into())
}

impl<R: Source> Clone for IdLists<R> {
    fn clone(&self) -> Self {
        Self {
            lists: self.lists.clone(),
            rows: self.rows.clone(),
        }
    }
}
