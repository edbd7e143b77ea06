//! Warm-up: filling the cache in advance.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::answer::Freshness;
use crate::cached_repository::CachedRepository;
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Lookup, LookupRef};
use crate::entity::namespace::Namespace;
use crate::insight::statistics::Operation;
use crate::read::ReadPath;
use crate::repository::{Id, Index, Source};

/// Options of a warm-up.
#[derive(Clone, Debug)]
pub struct WarmUpOptions {
    /// Rows per batch, each one query and two pipelines. Default: 100.
    pub batch: usize,
    /// The pause between two batches, which limits the load on the database.
    /// Default: 10 ms.
    pub pause: Duration,
    /// Fills the lists as well. Default: true.
    pub lists: bool,
}

impl Default for WarmUpOptions {
    fn default() -> Self {
        Self {
            batch: 100,
            pause: Duration::from_millis(10),
            lists: true,
        }
    }
}

/// The progress of a warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WarmUpProgress {
    /// Rows and lists read through the cache so far.
    pub done: usize,
    /// Rows and lists stored in Redis so far. The others were there already, or
    /// could not be stored.
    pub filled: usize,
    /// Rows and lists in all.
    pub total: usize,
}

impl<R: Source> CachedRepository<R> {
    /// Reads every row, and every list that contains one, through the cache, in
    /// batches with a pause after each; calls `progress` after every batch.
    ///
    /// Rows are filled as by any read, so concurrent writes are not
    /// overwritten. The list of all rows is loaded once to learn their ids, and
    /// must fit in memory. These reads are counted under an operation of their
    /// own, `warm_up`, and not in the hit rate.
    ///
    /// If Redis becomes unavailable for longer than one operation may take, or
    /// nothing is cached here, it stops early: `done` is less than `total`.
    ///
    /// # Errors
    /// The repository's; rows filled before it stay.
    ///
    /// # Cancellation
    /// If the future is dropped, the warm-up stops after the current batch.
    pub async fn warm_up(
        &self,
        how: WarmUpOptions,
        mut progress: impl FnMut(WarmUpProgress),
    ) -> Result<WarmUpProgress, R::Error> {
        let rows = self.read.load(&Lookup::All, Operation::WarmUp).await?;
        let rows = rows.into_list();
        let ids: Vec<Id<R>> = rows.iter().map(|row| row.id().clone()).collect();
        let mut lists: BTreeMap<Key, Index<R>> = BTreeMap::new();
        if how.lists {
            for row in rows.iter() {
                row.indexes(&mut |index| {
                    let key = LookupRef::<R::Entity>::Index(&index).key(Namespace(""));
                    lists.insert(key, index);
                });
            }
        }
        drop(rows);
        let of_all = how.lists && R::Entity::LIST_ALL;
        let mut warming = Warming {
            read: &self.read,
            stored_before: self.read.kind.statistics.warmed(),
            state: WarmUpProgress {
                total: ids.len() + lists.len() + usize::from(of_all),
                ..WarmUpProgress::default()
            },
        };
        for batch in ids.chunks(how.batch.max(1)) {
            if !warming.goes_on().await {
                return Ok(warming.state());
            }
            let asked = batch.iter().map(LookupRef::Id);
            self.read.read_many(asked, Operation::WarmUp).await?;
            warming.state.done += batch.len();
            progress(warming.state());
            tokio::time::sleep(how.pause).await;
        }
        let all = of_all.then_some(LookupRef::All);
        let lists = lists.values().map(LookupRef::Index);
        let lists: Vec<_> = all.into_iter().chain(lists).collect();
        for batch in lists.chunks(how.batch.max(1)) {
            if !warming.goes_on().await {
                return Ok(warming.state());
            }
            for list in batch {
                let ids = match list {
                    LookupRef::Index(index) => self.ids_of(index).map(|ids| (ids, *index)),
                    LookupRef::Id(_) | LookupRef::All => None,
                };
                if let Some((ids, index)) = ids {
                    ids.warm_up(index).await?;
                } else {
                    let read = self.read.read(*list, Operation::WarmUp, Freshness::Any);
                    read.await?;
                }
                warming.state.done += 1;
            }
            progress(warming.state());
            tokio::time::sleep(how.pause).await;
        }
        Ok(warming.state())
    }
}

/// A warm-up in progress.
struct Warming<'a, R: Source> {
    read: &'a ReadPath<R>,
    /// The kind's count of values that warm-ups had stored before.
    stored_before: u64,
    state: WarmUpProgress,
}

impl<R: Source> Warming<'_, R> {
    /// Returns true if values can be stored, or soon can be again.
    async fn goes_on(&self) -> bool {
        self.read.tiers().is_enabled() && self.read.cache.wait_until_synced().await
    }

    /// Returns the progress, with the values that Redis has stored.
    fn state(&self) -> WarmUpProgress {
        let stored = self.read.kind.statistics.warmed() - self.stored_before;
        WarmUpProgress {
            filled: usize::try_from(stored).unwrap_or(usize::MAX),
            ..self.state
        }
    }
}
