//! Warm-up: filling the cache in advance.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::answer::Freshness;
use crate::cached_repository::CachedRepository;
use crate::config::warm_up::WarmUpFrom;
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Lookup, LookupRef};
use crate::entity::namespace::Namespace;
use crate::insight::statistics::Operation;
use crate::insight::warm_ups::WarmUpProgress;
use crate::read::ReadPath;
use crate::repository::{Id, Index, Source};

/// Options of a warm-up.
#[derive(Clone, Debug)]
pub struct WarmUpOptions {
    /// The rows to read. Default: all.
    pub from: WarmUpFrom,
    /// Rows per batch, each one query and two pipelines. Default: 100.
    pub batch: usize,
    /// The pause between two batches, which limits the load on the database.
    /// Default: 10 ms. A warm-up from the hot set takes its pace from the response
    /// time of the database instead.
    pub pause: Duration,
    /// Fills the lists as well. Default: true.
    pub lists: bool,
}

impl Default for WarmUpOptions {
    fn default() -> Self {
        Self {
            from: WarmUpFrom::default(),
            batch: 100,
            pause: Duration::from_millis(10),
            lists: true,
        }
    }
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
    /// From the hot set it reads the rows and lists that instances held. Those that Redis
    /// has become local entries first. The others are loaded, each by one instance.
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
        match how.from {
            WarmUpFrom::Hot => self.warm_hot(&how, &mut progress).await,
            WarmUpFrom::All => self.warm_all(&how, &mut progress).await,
        }
    }

    async fn warm_all(
        &self,
        how: &WarmUpOptions,
        progress: &mut impl FnMut(WarmUpProgress),
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
        let total = ids.len() + lists.len() + usize::from(of_all);
        let mut warming = Warming::new(&self.read, total);
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
                self.warm_list(*list).await?;
                warming.state.done += 1;
            }
            progress(warming.state());
            tokio::time::sleep(how.pause).await;
        }
        Ok(warming.state())
    }

    pub(super) async fn warm_list(&self, list: LookupRef<'_, R::Entity>) -> Result<(), R::Error> {
        if let LookupRef::Index(index) = list
            && let Some(ids) = self.ids_of(index)
        {
            return ids.warm_up(index).await;
        }
        let read = self.read.read(list, Operation::WarmUp, Freshness::Any);
        read.await.map(drop)
    }
}

/// A warm-up in progress.
pub(super) struct Warming<'a, R: Source> {
    read: &'a ReadPath<R>,
    /// The kind's count of values that warm-ups had stored before.
    stored_before: u64,
    pub(super) state: WarmUpProgress,
}

impl<'a, R: Source> Warming<'a, R> {
    pub(super) fn new(read: &'a ReadPath<R>, total: usize) -> Self {
        Self {
            read,
            stored_before: read.kind.statistics.warmed(),
            state: WarmUpProgress {
                total,
                ..WarmUpProgress::default()
            },
        }
    }

    /// Returns true if values can be stored, or soon can be again.
    pub(super) async fn goes_on(&self) -> bool {
        self.read.tiers().is_enabled() && self.read.cache.wait_until_synced().await
    }

    /// Returns the progress, with the values that Redis has stored.
    pub(super) fn state(&self) -> WarmUpProgress {
        let stored = self.read.kind.statistics.warmed() - self.stored_before;
        WarmUpProgress {
            filled: usize::try_from(stored).unwrap_or(usize::MAX),
            ..self.state
        }
    }
}
