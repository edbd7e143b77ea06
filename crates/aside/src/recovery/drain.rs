//! Working the journal off, page by page.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::error::Error;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::entity::key::Key;
use crate::recovery::comparison::Compared;
use crate::recovery::journal::{Asked, DatabaseHistory, Journal, JournalRow, read};
use crate::tiers::Tiers;
use crate::tiers::own_journal_rows::Journalled;

/// Rows of one DELETE.
const MOST_DELETED: usize = 5_000;

/// Rows that are remembered until they are deleted. One that is not is worked
/// off once more.
const MOST_ACKNOWLEDGED: usize = 100_000;

/// Reads the journal until the service is gone.
pub(crate) async fn run<J: Journal>(drain: Arc<Mutex<Drain<J>>>, tiers: Weak<Tiers>) {
    let mut drain = drain.lock().await;
    loop {
        let Some(tiers) = tiers.upgrade() else { return };
        // Before the pass begins: it says nothing of what comes later.
        let proved = tiers.proved();
        match drain.pass(&tiers).await {
            Ok((all, history)) => {
                let this = &mut *drain;
                // Before Redis is trusted: all of it may be of a database that went back.
                this.compared.compare(history, &this.journal, &tiers).await;
                if all {
                    tiers.drained(&proved);
                }
                drain.failing = false;
            }
            Err(error) => drain.say(&tiers, &error),
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
                // Before others read them, and do once more what was done.
                () = own.wait() => drain.delete_own(&own),
            }
        }
    }
}

/// How far the journal has been worked off. It outlives the task that does so,
/// which may panic, or end with its runtime: what it holds must be let go.
pub(crate) struct Drain<J> {
    journal: Arc<J>,
    /// The keys of rows that Redis has not acknowledged, by id.
    held: BTreeMap<i64, Key>,
    /// Rows that it has, and that are not deleted yet.
    acknowledged: BTreeSet<i64>,
    /// Deletes under way, at most one. They wait for the writers of a busy
    /// database, which the next SELECT must not.
    deleting: JoinSet<Vec<i64>>,
    compared: Compared,
    /// The era in which the ids above were read.
    era: u64,
    failing: bool,
}

impl<J: Journal> Drain<J> {
    pub(crate) fn of(journal: J) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            journal: Arc::new(journal),
            held: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            deleting: JoinSet::new(),
            compared: Compared::default(),
            era: 0,
            failing: false,
        }))
    }

    /// Goes through the table once; whether all of it has been forgotten, and how far
    /// the database had come.
    ///
    /// It ends with the row that was the newest when it began: during an
    /// outage rows come as fast as they are worked off, and a pass to the end
    /// of the table would find none. What was committed before it began has
    /// no greater id, so no suspicion that this pass ends is owed the rest.
    async fn pass(
        &mut self,
        tiers: &Arc<Tiers>,
    ) -> Result<(bool, Option<DatabaseHistory>), J::Error> {
        self.forget_ids(tiers);
        let state = self.journal.state().await?;
        let newest = state.newest.unwrap_or(i64::MIN);
        let (mut after, mut rows) = (i64::MIN, 0);
        let (mut all, mut answered) = (true, true);
        loop {
            let page = match after < newest {
                true => self.journal.page(after).await?,
                false => Vec::new(),
            };
            let Some(last) = page.last().map(|row| row.id) else {
                // Rows known from before that are newer than the newest.
                self.have_gone(tiers, after, i64::MAX, &BTreeSet::new());
                break;
            };
            rows += page.len() as u64;
            let page = self.hold(tiers, after, last, page);
            // After one deadline without an answer the other pages are held,
            // and no more is said to a server that does not listen.
            if answered {
                let forgotten = self.forget(tiers, page).await;
                all &= forgotten == Forgotten::All;
                answered = forgotten != Forgotten::Nothing;
            }
            self.delete_later();
            after = last;
        }
        tiers.statistics.journal_rows.store(rows, Ordering::Relaxed);
        Ok((all, state.history))
    }

    /// In another era the database may have gone back. Then its ids come again, for
    /// rows that are about something else.
    fn forget_ids(&mut self, tiers: &Tiers) {
        let era = tiers.era();
        if std::mem::replace(&mut self.era, era) != era {
            self.have_gone(tiers, i64::MIN, i64::MAX, &BTreeSet::new());
            self.deleting.abort_all();
        }
    }

    /// Holds the keys of a page at once; answers what of it is not forgotten.
    fn hold(
        &mut self,
        tiers: &Tiers,
        after: i64,
        last: i64,
        page: Vec<JournalRow>,
    ) -> Vec<(i64, Asked)> {
        let ids = page.iter().map(|row| row.id).collect();
        self.have_gone(tiers, after, last, &ids);
        let mut left = Vec::with_capacity(page.len());
        for JournalRow { id, entry } in page {
            if self.acknowledged.contains(&id) {
                continue;
            }
            let Some(asked) = read(&entry, tiers.namespace()) else {
                tiers.statistics.error("malformed_journal_row");
                self.acknowledge(tiers, vec![id]);
                continue;
            };
            if let Asked::Key(key) = &asked
                && !self.held.contains_key(&id)
                && tiers.hold(key)
            {
                self.held.insert(id, key.clone());
            }
            left.push((id, asked));
        }
        left
    }

    /// Of the rows after `after` and up to `last` only these are left: others
    /// were worked off by somebody else.
    fn have_gone(&mut self, tiers: &Tiers, after: i64, last: i64, left: &BTreeSet<i64>) {
        let range = (Bound::Excluded(after), Bound::Included(last));
        let held = self.held.range(range).map(|(id, _)| *id);
        let gone: Vec<i64> = held.filter(|id| !left.contains(id)).collect();
        for id in gone {
            self.let_go(tiers, id);
        }
        let acknowledged = self.acknowledged.range(range).copied();
        let gone: Vec<i64> = acknowledged.filter(|id| !left.contains(id)).collect();
        for id in gone {
            self.acknowledged.remove(&id);
        }
    }

    fn let_go(&mut self, tiers: &Tiers, id: i64) {
        if let Some(key) = self.held.remove(&id) {
            tiers.held.let_go(&key);
        }
    }

    /// Makes every copy of what a page names forget.
    async fn forget(&mut self, tiers: &Arc<Tiers>, page: Vec<(i64, Asked)>) -> Forgotten {
        let (mut kinds, mut keys) = (
            BTreeMap::<String, Vec<i64>>::new(),
            BTreeMap::<Key, Vec<i64>>::new(),
        );
        let mut under_way = false;
        for (id, asked) in page {
            if tiers.journalled.is_under_way(id) {
                under_way = true;
                continue;
            }
            match asked {
                Asked::Kind(kind) => kinds.entry(kind).or_default().push(id),
                Asked::Key(key) => keys.entry(key).or_default().push(id),
            }
        }
        let (mut forgotten, mut asked) = (0, 0);
        // Once for all rows of a kind: each time makes it cold.
        for (kind, ids) in kinds {
            asked += 1;
            if forget_kind(tiers, &kind).await {
                forgotten += 1;
                self.acknowledge(tiers, ids);
            }
        }
        let names: Vec<Key> = keys.keys().cloned().collect();
        let left: HashSet<Key> = tiers.invalidate(&names).await.into_iter().collect();
        asked += names.len();
        for (key, ids) in keys {
            if !left.contains(&key) {
                forgotten += 1;
                self.acknowledge(tiers, ids);
            }
        }
        match forgotten {
            _ if forgotten == asked && !under_way => Forgotten::All,
            0 if 0 < asked => Forgotten::Nothing,
            _ => Forgotten::Some,
        }
    }

    fn acknowledge(&mut self, tiers: &Tiers, ids: Vec<i64>) {
        for id in ids {
            self.let_go(tiers, id);
            if self.acknowledged.len() < MOST_ACKNOWLEDGED {
                self.acknowledged.insert(id);
            }
        }
    }

    /// Deletes rows that Redis has acknowledged, in a task of its own.
    fn delete_later(&mut self) {
        while let Some(deleted) = self.deleting.try_join_next() {
            for id in deleted.unwrap_or_default() {
                self.acknowledged.remove(&id);
            }
        }
        if self.deleting.is_empty() && !self.acknowledged.is_empty() {
            let ids = self.acknowledged.iter().copied().take(MOST_DELETED);
            let ids: Vec<i64> = ids.collect();
            let journal = Arc::clone(&self.journal);
            // Not deleted, they are tried again after the next page.
            self.deleting.spawn(async move {
                match journal.delete(&ids).await {
                    Ok(()) => ids,
                    Err(_) => Vec::new(),
                }
            });
        }
    }

    /// Deletes rows of this instance's own writes, which are over.
    fn delete_own(&mut self, own: &Journalled) {
        self.acknowledged.extend(own.take_done());
        self.delete_later();
    }

    fn say(&mut self, tiers: &Tiers, error: &J::Error) {
        tiers.statistics.error("journal_unreadable");
        if !std::mem::replace(&mut self.failing, true) {
            let error: &dyn Error = error;
            tracing::error!(
                error,
                "the cache journal cannot be read: what others wrote while they did not reach \
                 Redis is not heard of"
            );
        }
    }
}

/// What Redis has acknowledged of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgotten {
    All,
    Some,
    Nothing,
}

async fn forget_kind(tiers: &Arc<Tiers>, kind: &str) -> bool {
    match tiers.raise(kind).await {
        // Nobody has anything of it.
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
