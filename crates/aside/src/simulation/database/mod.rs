//! A versioned database in memory: row locks, transactions that time out, a
//! journal beside the data, and a record of every commit.
//!
//! A statement has a delay in each direction. A COMMIT that has left its
//! process is executed regardless of later events.

mod tables;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use aside_testkit::history::State;
use fastrand::Rng;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use self::tables::Tables;
pub(super) use self::tables::{Change, Commit};
pub(super) use self::transaction::Transaction;
use super::hero::{Hero, HeroIndex, QUERY, list_key};
use super::network::Pace;
use super::{Clock, Trace};
use crate::recovery::journal::{Journal, JournalRow};
use crate::runtime::simulated::watch;

/// The longest transaction: below the quarantine's 1 s.
const MAX_TRANSACTION: Duration = Duration::from_millis(700);

/// The reason why the database failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("the row exists already")]
    Exists,
    /// Certainly nothing was changed.
    #[error("the transaction took too long and was rolled back")]
    RolledBack,
    /// The connection broke during the COMMIT.
    #[error("the reply was lost")]
    Ambiguous,
    #[error("too many loads wait for the database")]
    Overloaded,
}

pub(super) struct Database {
    tables: Mutex<Tables>,
    unlocked: Notify,
    /// True while no COMMIT arrives.
    holds_commits: watch::Sender<bool>,
    pace: Pace,
    rng: Mutex<Rng>,
    /// How often the reply to a COMMIT is lost, in thousandths.
    loses_answers: u32,
    clock: Clock,
    trace: Trace,
}

impl Database {
    pub(super) fn new(
        pace: Pace,
        loses_answers: u32,
        rng: Rng,
        clock: Clock,
        trace: Trace,
    ) -> Arc<Self> {
        Arc::new(Self {
            tables: Mutex::default(),
            unlocked: Notify::new(),
            holds_commits: watch::Sender::new(false),
            pace,
            rng: Mutex::new(rng),
            loses_answers,
            clock,
            trace,
        })
    }

    /// Stops every COMMIT on its way, or lets all of them arrive.
    pub(super) fn hold_commits(&self, holds: bool) {
        self.holds_commits.send_replace(holds);
    }

    async fn trip(&self) {
        let takes = self.pace.draw(&mut self.rng.lock());
        if !takes.is_zero() {
            sleep(takes).await;
        }
    }

    /// Reads at one moment.
    async fn read<T>(&self, read: impl FnOnce(&Tables) -> T) -> T {
        self.trip().await;
        let found = read(&self.tables.lock());
        self.trip().await;
        found
    }

    pub(super) async fn rows(&self, ids: &[u64]) -> Vec<Option<Arc<Hero>>> {
        let row = |tables: &Tables, id| tables.rows.get(id).cloned().map(Arc::new);
        self.read(|tables| ids.iter().map(|id| row(tables, id)).collect())
            .await
    }

    /// Returns the rows of a list, each with the version of the list.
    pub(super) async fn list(&self, index: Option<&HeroIndex>) -> Arc<[Arc<Hero>]> {
        self.read(|tables| tables.list(&list_key(index))).await
    }

    /// Returns the rows of the query, each with the version of the result.
    pub(super) async fn query(&self) -> Vec<Hero> {
        let rows = self.read(|tables| tables.list(QUERY)).await;
        rows.iter().map(|row| Hero::clone(row)).collect()
    }

    pub(super) async fn begin(self: &Arc<Self>) -> Transaction {
        self.trip().await;
        let mut tables = self.tables.lock();
        tables.transactions += 1;
        Transaction {
            database: Arc::clone(self),
            number: tables.transactions,
            until: Instant::now() + MAX_TRANSACTION,
            committing: false,
        }
    }

    fn unlock(&self, number: u64) {
        self.tables
            .lock()
            .locks
            .retain(|_, (owner, _)| *owner != number);
        self.unlocked.notify_waiters();
    }

    /// Records that the writer of a commit got its reply.
    pub(super) fn returned(&self, commit: usize) {
        let now = self.clock.now();
        self.tables.lock().commits[commit].returned = Some(now);
    }

    /// Returns the latest commit that left such a state under a key.
    pub(super) fn commit_of(&self, key: &str, like: impl Fn(&State) -> bool) -> Option<usize> {
        let tables = self.tables.lock();
        tables.commits.iter().rposition(|commit| {
            let mut states = commit.states.iter();
            states.any(|(of, state)| of == key && like(state))
        })
    }

    /// Records that a process got the reply to the deletion of a row, in a
    /// commit since that number. If there are several, it does not matter
    /// which: readers wait for the newest.
    pub(super) fn deletion_returned(&self, process: usize, id: u64, since: usize) {
        let now = self.clock.now();
        let key = format!("hero:{id}");
        let mut tables = self.tables.lock();
        let deletes = |commit: &&mut Commit| {
            let mut states = commit.states.iter();
            commit.process == process
                && commit.returned.is_none()
                && states.any(|(of, state)| *of == key && matches!(state, State::Absent(_)))
        };
        let commit = tables.commits[since..].iter_mut().find(deletes);
        commit.expect("a returned write was committed").returned = Some(now);
    }

    pub(super) fn commits(&self) -> Vec<Commit> {
        self.tables.lock().commits.clone()
    }

    /// Returns the current state of a key, without a delay.
    pub(super) fn truth(&self, key: &str) -> State {
        let tables = self.tables.lock();
        match key.strip_prefix("hero:").map(str::parse::<u64>) {
            Some(Ok(id)) => match tables.rows.get(&id) {
                Some(row) => State::Row(row.version),
                None => State::Absent(tables.versions.get(&id).copied()),
            },
            _ => tables.list_state(key),
        }
    }
}

/// The journal as instances read it.
pub(super) struct JournalTable(pub(super) Arc<Database>);

impl Journal for JournalTable {
    type Error = Failure;

    async fn newest(&self) -> Result<Option<i64>, Failure> {
        let newest = self
            .0
            .read(|tables| tables.journal.keys().next_back().copied());
        Ok(newest.await)
    }

    async fn page(&self, after: i64) -> Result<Vec<JournalRow>, Failure> {
        let row = |(id, entry): (&i64, &String)| JournalRow {
            id: *id,
            entry: entry.clone(),
        };
        let later = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let page = self
            .0
            .read(|tables| tables.journal.range(later).map(row).take(8).collect());
        Ok(page.await)
    }

    async fn delete(&self, ids: &[i64]) -> Result<(), Failure> {
        self.0.trip().await;
        let mut tables = self.0.tables.lock();
        for id in ids {
            tables.journal.remove(id);
        }
        Ok(())
    }
}
