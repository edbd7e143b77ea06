//! The journal: what Redis could not be told of a write, told by the database.
//!
//! A write whose quarantine Redis did not acknowledge stores its keys in a
//! table beside the data, in its own transaction. Every instance that reaches
//! Redis reads that table again and again: a key found there is held at once,
//! then forgotten in Redis, and only then its row is deleted. So what a writer
//! that was cut off committed, or that died afterwards, reaches the others
//! through the one thing that all of them share.
//!
//! Nothing of that is exclusive. Several instances may read one row, forget
//! its key and delete it, each of which may be repeated; so the SELECT takes
//! no locks, where one that skips locked rows would show an empty table to
//! the second reader. Rows are deleted by id and not remembered by a cursor:
//! ids commit out of order, and a cursor would pass one that comes late.
//!
//! It also decides when a suspicion ends: what was written while Redis was
//! out of reach is in the table, so Redis is not trusted again before a
//! SELECT that began after its PONG has been worked off.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::task::JoinSet;

use crate::key::Key;
use crate::tiers::Tiers;

/// What the row of a whole kind begins with. No key has a blank before its
/// first colon.
const ALL_OF: &str = "all of ";

/// What stands in the journal for a whole kind.
pub(crate) fn all_of(kind: &str) -> String {
    format!("{ALL_OF}{kind}")
}

/// A journal table, as an instance reads it.
///
/// `aside-sqlx` has it for SQLite and PostgreSQL. One table serves one Redis
/// and one namespace: rows are deleted once *that* Redis has forgotten the
/// keys.
pub trait Journal: Send + Sync + 'static {
    /// Why the database did not answer.
    type Error: Error + Send + Sync + 'static;

    /// Some rows whose id is greater than `after`, by ascending id, without
    /// any lock; none if there are no more. A few hundred are a good page.
    ///
    /// # Errors
    /// The database's. Nothing is taken for drained then, and it is asked
    /// again after `CACHE_JOURNAL_POLL_MS`.
    fn page(&self, after: i64)
    -> impl Future<Output = Result<Vec<JournalRow>, Self::Error>> + Send;

    /// Deletes rows; those that are gone already do not matter.
    ///
    /// # Errors
    /// The database's. The rows are worked off once more.
    fn delete(&self, ids: &[i64]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// One row of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Its id, greater than that of any row inserted before.
    pub id: i64,
    /// What must be forgotten, as
    /// [`Unquarantined::rows`](crate::Unquarantined::rows) wrote it: a key as
    /// it stands in Redis, or a whole kind.
    pub entry: String,
}

/// Reads the journal until the service is gone.
pub(crate) async fn run<J: Journal>(journal: J, tiers: Weak<Tiers>) {
    let mut drain = Drain {
        journal: Arc::new(journal),
        held: BTreeMap::new(),
        acknowledged: BTreeSet::new(),
        deleting: JoinSet::new(),
        failing: false,
    };
    loop {
        let Some(tiers) = tiers.upgrade() else { return };
        // Before the SELECT begins: it says nothing of what comes later.
        let proved = tiers.link.proved();
        match drain.read(&tiers).await {
            Ok(rows) => {
                if drain.forget(&tiers, rows).await {
                    tiers.link.drained(proved);
                }
                drain.delete_later();
                drain.failing = false;
            }
            Err(error) => drain.say(&tiers, &error),
        }
        let (link, poll) = (Arc::clone(&tiers.link), tiers.config.journal_poll);
        drop(tiers);
        tokio::select! {
            () = tokio::time::sleep(poll) => {}
            () = link.undrained() => {}
        }
    }
}

struct Drain<J> {
    journal: Arc<J>,
    /// The keys of rows that Redis has not acknowledged, by id.
    held: BTreeMap<i64, Key>,
    /// Rows that it has, and that are not deleted yet.
    acknowledged: BTreeSet<i64>,
    /// Deletes under way, at most one. They wait for the writers of a busy
    /// database, which the next SELECT must not.
    deleting: JoinSet<Vec<i64>>,
    failing: bool,
}

impl<J: Journal> Drain<J> {
    /// Reads what the table holds, and holds its keys at once.
    ///
    /// All of it before Redis is told of any: during an outage rows come as
    /// fast as they are worked off, and a pass that told Redis between two
    /// pages would find no end. What comes after its first page is not owed to
    /// the suspicion that this pass ends.
    async fn read(&mut self, tiers: &Arc<Tiers>) -> Result<Vec<JournalRow>, J::Error> {
        let (mut after, mut seen, mut rows) = (i64::MIN, BTreeSet::new(), Vec::new());
        loop {
            let page = self.journal.page(after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for row in page {
                seen.insert(row.id);
                if self.acknowledged.contains(&row.id) {
                    continue;
                }
                let key = Key::new(&row.entry);
                if !row.entry.starts_with(ALL_OF)
                    && !self.held.contains_key(&row.id)
                    && tiers.hold(&key)
                {
                    self.held.insert(row.id, key);
                }
                rows.push(row);
            }
        }
        // Somebody else worked them off.
        self.held.retain(|id, key| {
            let stays = seen.contains(id);
            if !stays {
                tiers.held.let_go(key);
            }
            stays
        });
        self.acknowledged.retain(|id| seen.contains(id));
        let count = &tiers.statistics.journal_rows;
        count.store(seen.len() as u64, Ordering::Relaxed);
        Ok(rows)
    }

    /// Makes every copy of what the rows name forget; whether all of it is.
    async fn forget(&mut self, tiers: &Arc<Tiers>, rows: Vec<JournalRow>) -> bool {
        let (mut all, mut keys) = (true, HashMap::<Key, Vec<i64>>::new());
        for JournalRow { id, entry } in rows {
            if let Some(kind) = entry.strip_prefix(ALL_OF) {
                if forget_kind(tiers, kind).await {
                    self.acknowledged.insert(id);
                } else {
                    all = false;
                }
            } else {
                keys.entry(Key::new(&entry)).or_default().push(id);
            }
        }
        let asked: Vec<Key> = keys.keys().cloned().collect();
        let left: HashSet<Key> = tiers.invalidate(&asked).await.into_iter().collect();
        for (key, ids) in keys {
            if left.contains(&key) {
                all = false;
                continue;
            }
            for id in ids {
                if self.held.remove(&id).is_some() {
                    tiers.held.let_go(&key);
                }
                self.acknowledged.insert(id);
            }
        }
        all
    }

    /// Deletes the rows that Redis has acknowledged, in a task of its own.
    fn delete_later(&mut self) {
        while let Some(deleted) = self.deleting.try_join_next() {
            for id in deleted.unwrap_or_default() {
                self.acknowledged.remove(&id);
            }
        }
        if self.deleting.is_empty() && !self.acknowledged.is_empty() {
            let ids: Vec<i64> = self.acknowledged.iter().copied().collect();
            let journal = Arc::clone(&self.journal);
            // Not deleted, they are tried again after the next poll.
            self.deleting.spawn(async move {
                match journal.delete(&ids).await {
                    Ok(()) => ids,
                    Err(_) => Vec::new(),
                }
            });
        }
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

async fn forget_kind(tiers: &Arc<Tiers>, kind: &str) -> bool {
    let raised = tiers.bump(kind, true).await.is_ok();
    if raised {
        tiers.sweep_later(kind, &Arc::default());
    } else {
        tiers.hold_kind(kind);
    }
    raised
}
