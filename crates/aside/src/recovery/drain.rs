//! Draining of the journal, page by page.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::error::Error;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::entity::key::Key;
use crate::protocol::message::Why;
use crate::recovery::acknowledged::Acknowledged;
use crate::recovery::comparison::Compared;
use crate::recovery::journal::{DatabaseHistory, Journal, JournalRow, Target, read};
use crate::tiers::Tiers;
use crate::tiers::acknowledgement::{Acknowledgement, Asked};
use crate::tiers::own_journal_rows::Journalled;
use crate::tiers::shard_map::ShardMap;

/// The maximum number of rows per DELETE.
const MAX_ROWS_PER_DELETE: usize = 5_000;

/// Drains the journal until the service ends.
pub(crate) async fn run<J: Journal>(drain: Arc<Mutex<Drain<J>>>, weak: Weak<Tiers>) {
    let mut drain = drain.lock().await;
    loop {
        let Some(tiers) = weak.upgrade() else { return };
        // Read before the pass begins, which says nothing about later
        // suspicions.
        let proved = tiers.proved();
        match drain.pass(&tiers).await {
            Ok((behind, history)) => {
                let this = &mut *drain;
                // Before Redis is trusted, because all of it may belong to a
                // database that went back.
                this.compared.compare(history, &this.journal, &tiers).await;
                tiers.drained(&proved, &behind);
                tiers.statistics.journal_passed(behind.is_empty());
                drain.failing = false;
            }
            Err(error) => {
                tiers.statistics.journal_passed(false);
                drain.say(&tiers, &error);
            }
        }
        let own = Arc::clone(&tiers.journalled);
        let (poll, undrained) = (tiers.config.journal_poll, tiers.undrained());
        drop(tiers);
        let next = tokio::time::sleep(poll);
        tokio::pin!(next, undrained);
        loop {
            tokio::select! {
                biased;
                () = &mut next => break,
                () = &mut undrained => break,
                // Deleted early, so that other instances do not apply them
                // again.
                () = own.wait() => drain.acknowledged_own(&own),
                // They wait for a proof, and proofs arrive about as often.
                () = tokio::time::sleep(poll / 4), if !drain.acknowledged.is_empty() => {}
            }
            let Some(tiers) = weak.upgrade() else { return };
            drain.delete_later(&tiers.map());
        }
    }
}

/// The progress of draining. It outlives its task, which may panic or end with
/// its runtime, because its unreleased keys must be released.
pub(crate) struct Drain<J> {
    journal: Arc<J>,
    /// The keys of rows that Redis has not acknowledged, by id.
    unreleased: BTreeMap<i64, Key>,
    acknowledged: Acknowledged,
    /// At most one delete in progress. It waits for the writers of a busy
    /// database, which the next SELECT must not do.
    deleting: JoinSet<Vec<i64>>,
    compared: Compared,
    /// The era in which the ids above were read.
    era: u64,
    failing: bool,
}

impl<J: Journal> Drain<J> {
    pub(crate) fn of(journal: Arc<J>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            journal,
            unreleased: BTreeMap::new(),
            acknowledged: Acknowledged::default(),
            deleting: JoinSet::new(),
            compared: Compared::default(),
            era: 0,
            failing: false,
        }))
    }

    /// Goes through the table once. Returns the numbers of the shards that have not
    /// acknowledged all of their rows, and the state of the database.
    ///
    /// The pass ends with the newest row at its beginning. During an outage
    /// rows arrive as fast as they are applied, so a pass over the whole table
    /// would not end. Rows committed before the pass have no greater id, so it
    /// covers every suspicion that it ends.
    async fn pass(
        &mut self,
        tiers: &Arc<Tiers>,
    ) -> Result<(BTreeSet<u16>, Option<DatabaseHistory>), J::Error> {
        self.drop_ids(tiers);
        self.acknowledged.forget_lost(&tiers.map());
        let state = self.journal.state().await?;
        let newest = state.newest.unwrap_or(i64::MIN);
        let (mut after, mut rows) = (i64::MIN, 0);
        let mut progress = Progress::default();
        loop {
            let page = match after < newest {
                true => self.journal.page(after).await?,
                false => Vec::new(),
            };
            let Some(last) = page.last().map(|row| row.id) else {
                // Remembered rows above the newest.
                self.have_gone(tiers, after, i64::MAX, &BTreeSet::new());
                break;
            };
            rows += page.len() as u64;
            let page = self.hold(tiers, after, last, page);
            self.invalidate(tiers, page, &mut progress).await;
            self.delete_later(&tiers.map());
            after = last;
        }
        tiers.statistics.journal_rows.store(rows, Ordering::Relaxed);
        Ok((progress.behind, state.history))
    }

    /// Discards ids of another era. The database may have gone back, and reuse
    /// them for other rows.
    fn drop_ids(&mut self, tiers: &Tiers) {
        let era = tiers.era();
        if std::mem::replace(&mut self.era, era) != era {
            self.have_gone(tiers, i64::MIN, i64::MAX, &BTreeSet::new());
            self.deleting.abort_all();
        }
    }

    /// Marks the keys of a page as unreleased at once. Returns the rows still
    /// to be applied.
    fn hold(
        &mut self,
        tiers: &Tiers,
        after: i64,
        last: i64,
        page: Vec<JournalRow>,
    ) -> Vec<(i64, Target)> {
        let ids = page.iter().map(|row| row.id).collect();
        self.have_gone(tiers, after, last, &ids);
        let mut left = Vec::with_capacity(page.len());
        for JournalRow { id, entry } in page {
            if self.acknowledged.contains(id) {
                continue;
            }
            let Some(asked) = read(&entry, tiers.namespace()) else {
                tiers.statistics.error("malformed_journal_row");
                self.acknowledge(tiers, vec![id], &Acknowledgement::of_nothing());
                continue;
            };
            if let Target::Key(key) = &asked
                && !self.unreleased.contains_key(&id)
                && tiers.add_unreleased(key)
            {
                self.unreleased.insert(id, key.clone());
            }
            left.push((id, asked));
        }
        left
    }

    /// Discards rows in the range after `after` up to `last` that are not in
    /// `left`, because other instances applied them.
    fn have_gone(&mut self, tiers: &Tiers, after: i64, last: i64, left: &BTreeSet<i64>) {
        let range = (Bound::Excluded(after), Bound::Included(last));
        let unreleased = self.unreleased.range(range).map(|(id, _)| *id);
        let gone: Vec<i64> = unreleased.filter(|id| !left.contains(id)).collect();
        for id in gone {
            self.release(tiers, id);
        }
        self.acknowledged.retain_in(range, left);
    }

    fn release(&mut self, tiers: &Tiers, id: i64) {
        if let Some(key) = self.unreleased.remove(&id) {
            tiers.unreleased.remove(&key);
        }
    }

    /// Invalidates the keys and kinds of a page. Rows of a silent shard are only
    /// marked unreleased, so a server that does not reply costs one timeout.
    async fn invalidate(
        &mut self,
        tiers: &Arc<Tiers>,
        page: Vec<(i64, Target)>,
        Progress { behind, silent }: &mut Progress,
    ) {
        let (mut kinds, mut keys) = (
            BTreeMap::<String, Vec<i64>>::new(),
            BTreeMap::<Key, Vec<i64>>::new(),
        );
        let map = tiers.map();
        let number = |key: &Key| map.shard_of(key).link.number();
        let all = || map.all().map(|shard| shard.link.number());
        for (id, asked) in page {
            let is_under_way = tiers.journalled.is_under_way(id);
            match asked {
                Target::Kind(_) if is_under_way => behind.extend(all()),
                Target::Key(key) if is_under_way => {
                    behind.insert(number(&key));
                }
                Target::Kind(kind) => kinds.entry(kind).or_default().push(id),
                Target::Key(key) => keys.entry(key).or_default().push(id),
            }
        }
        let before: Vec<Asked> = keys.keys().map(|key| Asked::of_key(&map, key)).collect();
        let names = keys.keys().filter(|key| !silent.contains(&number(key)));
        let names: Vec<Key> = names.cloned().collect();
        let left: HashSet<Key> = tiers
            .invalidate(&names, Why::Journal)
            .await
            .into_iter()
            .collect();
        let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for ((key, ids), before) in keys.into_iter().zip(before) {
            let number = number(&key);
            let was_asked = !silent.contains(&number);
            if was_asked {
                asked.insert(number);
            }
            if was_asked && !left.contains(&key) {
                answered.insert(number);
                self.acknowledge(tiers, ids, &before.acknowledged());
            } else {
                behind.insert(number);
            }
        }
        silent.extend(asked.difference(&answered));
        // Once for all rows of a kind, because each time empties the kind's
        // cache.
        for (kind, ids) in kinds {
            let before = Asked::of_kind(&tiers.map());
            if silent.is_empty() && invalidate_kind(tiers, &kind).await {
                self.acknowledge(tiers, ids, &before.acknowledged());
                continue;
            }
            tiers.hold_kind(&kind);
            behind.extend(all());
            if answered.is_empty() {
                silent.extend(all());
            }
        }
    }

    fn acknowledge(&mut self, tiers: &Tiers, ids: Vec<i64>, by: &Acknowledgement) {
        let applied = &tiers.statistics.journal_applied;
        applied.fetch_add(ids.len() as u64, Ordering::Relaxed);
        for id in ids {
            self.release(tiers, id);
            self.acknowledged.add(id, by.clone());
        }
    }

    /// Deletes acknowledged rows in a separate task, those that no failover can have
    /// lost.
    fn delete_later(&mut self, map: &ShardMap) {
        while let Some(deleted) = self.deleting.try_join_next() {
            self.acknowledged.remove(&deleted.unwrap_or_default());
        }
        if !self.deleting.is_empty() {
            return;
        }
        let ids = self.acknowledged.deletable(map, MAX_ROWS_PER_DELETE);
        if !ids.is_empty() {
            let journal = Arc::clone(&self.journal);
            // If not deleted, they are retried after the next page.
            self.deleting.spawn(async move {
                match journal.delete(&ids).await {
                    Ok(()) => ids,
                    Err(_) => Vec::new(),
                }
            });
        }
    }

    /// Adds the rows of this instance's own completed writes.
    fn acknowledged_own(&mut self, own: &Journalled) {
        for (id, by) in own.take_done() {
            self.acknowledged.add(id, by);
        }
    }

    fn say(&mut self, tiers: &Tiers, error: &J::Error) {
        tiers.statistics.error("journal_unreadable");
        if !std::mem::replace(&mut self.failing, true) {
            let error: &dyn Error = error;
            tracing::error!(
                error,
                "the cache journal cannot be read: writes of instances that could not reach Redis \
                 are not applied here"
            );
        }
    }
}

/// How far a pass has got, by the numbers of the shards.
#[derive(Default)]
struct Progress {
    /// Shards with a row that they have not acknowledged.
    behind: BTreeSet<u16>,
    /// Shards that have acknowledged no row of a page.
    silent: BTreeSet<u16>,
}

async fn invalidate_kind(tiers: &Arc<Tiers>, kind: &str) -> bool {
    match tiers.raise_epoch(kind, Why::Journal).await {
        // No instance has cached the kind.
        Ok(0) => true,
        Ok(_) => {
            tiers.sweep_later(kind, &Arc::default());
            true
        }
        Err(_) => {
            tiers.hold_kind(kind);
            false
        }
    }
}
