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
    /// Rows and lists in all.
    pub total: usize,
}

impl<R: Source> CachedRepository<R> {
    /// Reads every row, and every list that contains one, through the cache, in
    /// batches with a pause after each; calls `progress` after every batch.
    ///
    /// Rows are filled as by any read, so concurrent writes are not
    /// overwritten. The list of all rows is loaded once to learn their ids, and
    /// must fit in memory.
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
        let rows = self
            .read
            .load(&Lookup::All, Operation::ListAll)
            .await?
            .into_list();
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
        let of_all = usize::from(how.lists && R::Entity::LIST_ALL);
        let mut state = WarmUpProgress {
            done: 0,
            total: ids.len() + lists.len() + of_all,
        };
        for batch in ids.chunks(how.batch.max(1)) {
            self.read.read_many(batch).await?;
            state.done += batch.len();
            progress(state);
            tokio::time::sleep(how.pause).await;
        }
        if of_all == 1 {
            self.read
                .read(LookupRef::All, Operation::ListAll, Freshness::Any)
                .await?;
            state.done += 1;
            progress(state);
        }
        for (at, index) in lists.values().enumerate() {
            self.read
                .read(LookupRef::Index(index), Operation::FindBy, Freshness::Any)
                .await?;
            state.done += 1;
            if (at + 1) % how.batch.max(1) == 0 || at + 1 == lists.len() {
                progress(state);
                tokio::time::sleep(how.pause).await;
            }
        }
        Ok(state)
    }
}
