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

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

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
        journal,
        held: BTreeMap::new(),
        failing: false,
    };
    loop {
        let Some(tiers) = tiers.upgrade() else { return };
        // Before the SELECT begins: it says nothing of what comes later.
        let proved = tiers.link.proved();
        if drain.once(&tiers).await {
            tiers.link.drained(proved);
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
    journal: J,
    /// The keys of rows that Redis has not acknowledged, by id.
    held: BTreeMap<i64, Key>,
    failing: bool,
}

impl<J: Journal> Drain<J> {
    /// Works off what the table holds; whether nothing is left of it.
    async fn once(&mut self, tiers: &Arc<Tiers>) -> bool {
        match self.work_off(tiers).await {
            Ok(drained) => {
                self.failing = false;
                drained
            }
            Err(error) => {
                tiers.statistics.error("journal_unreadable");
                if !std::mem::replace(&mut self.failing, true) {
                    let error: &dyn Error = &error;
                    tracing::error!(
                        error,
                        "the cache journal cannot be read: what others wrote while they did \
                         not reach Redis is not heard of"
                    );
                }
                false
            }
        }
    }

    async fn work_off(&mut self, tiers: &Arc<Tiers>) -> Result<bool, J::Error> {
        let (mut after, mut count, mut drained) = (i64::MIN, 0, true);
        let mut seen = BTreeSet::new();
        loop {
            let rows = self.journal.page(after).await?;
            let Some(last) = rows.last() else { break };
            // Past those that could not be acknowledged as well, which must
            // not keep the others waiting.
            after = last.id;
            count += rows.len() as u64;
            seen.extend(rows.iter().map(|row| row.id));
            let done = self.forget(tiers, rows).await;
            drained &= done.all;
            if !done.ids.is_empty() {
                self.journal.delete(&done.ids).await?;
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
        tiers
            .statistics
            .journal_rows
            .store(count, Ordering::Relaxed);
        Ok(drained)
    }

    /// Makes every copy of what the rows name forget.
    async fn forget(&mut self, tiers: &Arc<Tiers>, rows: Vec<JournalRow>) -> Done {
        let mut done = Done {
            ids: Vec::new(),
            all: true,
        };
        let mut keys = Vec::new();
        for JournalRow { id, entry } in rows {
            if let Some(kind) = entry.strip_prefix(ALL_OF) {
                if forget_kind(tiers, kind).await {
                    done.ids.push(id);
                } else {
                    done.all = false;
                }
                continue;
            }
            // Held before Redis is asked: it may take a while to answer.
            let key = Key::new(&entry);
            if !self.held.contains_key(&id) && tiers.hold(&key) {
                self.held.insert(id, key.clone());
            }
            keys.push((id, key));
        }
        let asked: Vec<Key> = keys.iter().map(|(_, key)| key.clone()).collect();
        let left = tiers.invalidate(&asked).await;
        for (id, key) in keys {
            if left.contains(&key) {
                done.all = false;
                continue;
            }
            if self.held.remove(&id).is_some() {
                tiers.held.let_go(&key);
            }
            done.ids.push(id);
        }
        done
    }
}

/// The rows that were worked off, and whether those were all.
struct Done {
    ids: Vec<i64>,
    all: bool,
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
