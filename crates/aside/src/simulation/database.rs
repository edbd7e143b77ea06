//! A versioned database in memory: row locks, transactions that time out, the
//! journal beside the data, and the truth about everything that was committed.
//!
//! A statement takes a way there and a way back. A COMMIT that has left its
//! process is executed whatever becomes of that.

use std::collections::BTreeMap;
use std::convert::identity;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aside_testkit::history::{State, Time};
use fastrand::Rng;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::hero::{Hero, HeroIndex, list_key, stands_in};
use super::network::Pace;
use super::{Clock, Trace};
use crate::recovery::journal::{Journal, JournalRow};

/// How long a transaction may last: below the quarantine's 1 s.
const LONGEST_TRANSACTION: Duration = Duration::from_millis(700);

/// Why the database did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("there is such a row already")]
    Exists,
    /// Certainly nothing was changed.
    #[error("the transaction took too long and was rolled back")]
    RolledBack,
    /// The connection broke in the COMMIT.
    #[error("the answer was lost")]
    Ambiguous,
    #[error("too many wait for the database")]
    Overloaded,
}

/// A change of one row within a transaction.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Put(Hero),
    Delete(u64),
}

/// A transaction that was committed.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) process: usize,
    /// Before it could commit.
    pub(super) began: Time,
    /// When its writer was answered, if that was lucky.
    pub(super) returned: Option<Time>,
    /// Whether Redis could not be told of all of it.
    pub(super) journalled: bool,
    /// Whether the kind was written as a whole.
    pub(super) whole: bool,
    /// What the keys hold since.
    pub(super) states: Vec<(String, State)>,
}

pub(super) struct Database {
    tables: Mutex<Tables>,
    unlocked: Notify,
    pace: Pace,
    rng: Mutex<Rng>,
    /// How often a COMMIT's answer is lost, in thousandths.
    loses_answers: u32,
    clock: Clock,
    trace: Trace,
}

#[derive(Default)]
struct Tables {
    rows: BTreeMap<u64, Hero>,
    /// Goes on counting when a row is deleted, or rolled back.
    versions: BTreeMap<u64, u64>,
    /// The counter of every list.
    lists: BTreeMap<String, u64>,
    locks: BTreeMap<u64, (u64, Instant)>,
    transactions: u64,
    journal: BTreeMap<i64, String>,
    journalled: i64,
    commits: Vec<Commit>,
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
            pace,
            rng: Mutex::new(rng),
            loses_answers,
            clock,
            trace,
        })
    }

    async fn trip(&self) {
        let takes = self.pace.draw(&mut self.rng.lock());
        if !takes.is_zero() {
            sleep(takes).await;
        }
    }

    /// Reads something at one moment.
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

    /// The rows of a list; each says which version of it they were read at.
    pub(super) async fn list(&self, index: Option<&HeroIndex>) -> Arc<[Arc<Hero>]> {
        self.read(|tables| tables.list(&list_key(index))).await
    }

    pub(super) async fn begin(self: &Arc<Self>) -> Transaction {
        self.trip().await;
        let mut tables = self.tables.lock();
        tables.transactions += 1;
        Transaction {
            database: Arc::clone(self),
            number: tables.transactions,
            until: Instant::now() + LONGEST_TRANSACTION,
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

    /// Says that the writer of a commit was answered.
    pub(super) fn returned(&self, commit: usize) {
        let now = self.clock.now();
        self.tables.lock().commits[commit].returned = Some(now);
    }

    /// The latest commit that left this state under a key.
    pub(super) fn commit_of(&self, key: &str, like: impl Fn(&State) -> bool) -> Option<usize> {
        let tables = self.tables.lock();
        tables.commits.iter().rposition(|commit| {
            let mut states = commit.states.iter();
            states.any(|(of, state)| of == key && like(state))
        })
    }

    /// Says that a process was answered that it deleted a row, in a commit
    /// since that many; which of several does not matter to who waits for the
    /// newest.
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
        commit.expect("what was answered was committed").returned = Some(now);
    }

    pub(super) fn commits(&self) -> Vec<Commit> {
        self.tables.lock().commits.clone()
    }

    /// What a key holds, without a way there.
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

impl Tables {
    fn list(&self, key: &str) -> Arc<[Arc<Hero>]> {
        let list = self.lists.get(key).copied().unwrap_or(0);
        let stands = |row: &&Hero| stands_in(row, key);
        let rows = self.rows.values().filter(stands).map(|row| {
            let row = row.clone();
            Arc::new(Hero { list, ..row })
        });
        rows.collect()
    }

    fn list_state(&self, key: &str) -> State {
        let rows = self.list(key);
        let version = self.lists.get(key).copied().unwrap_or(0);
        if rows.is_empty() {
            return State::Absent(Some(version));
        }
        State::list(version, rows.iter().map(|row| row.member()))
    }

    /// Applies a transaction at once; where it stands among the commits.
    fn apply(&mut self, changes: Vec<Change>, journal: Vec<String>, mut commit: Commit) -> usize {
        let mut touched = vec![list_key(None)];
        let states = &mut commit.states;
        for change in changes {
            let (id, after) = match change {
                Change::Put(row) => (row.id, Some(row)),
                Change::Delete(id) => (id, None),
            };
            let version = self.versions.get(&id).copied();
            let before = match &after {
                Some(row) => self.rows.insert(id, row.clone()),
                None => self.rows.remove(&id),
            };
            for row in before.iter().chain(&after) {
                touched.push(list_key(Some(&HeroIndex::Name(row.name.clone()))));
            }
            let state = after.map_or(State::Absent(version), |row| State::Row(row.version));
            states.push((format!("hero:{id}"), state));
        }
        touched.sort_unstable();
        touched.dedup();
        for key in touched {
            *self.lists.entry(key.clone()).or_default() += 1;
            let state = self.list_state(&key);
            states.push((key, state));
        }
        for entry in journal {
            self.journalled += 1;
            self.journal.insert(self.journalled, entry);
        }
        self.commits.push(commit);
        self.commits.len() - 1
    }
}

/// A transaction; dropped, it is rolled back.
pub(super) struct Transaction {
    database: Arc<Database>,
    number: u64,
    until: Instant,
    /// Its locks are the COMMIT's to give back.
    committing: bool,
}

impl Transaction {
    /// Locks a row, there or not, and reads it; and a version for what it
    /// will be.
    pub(super) async fn lock(&self, id: u64) -> Result<(Option<Hero>, u64), Failure> {
        let database = &self.database;
        database.trip().await;
        loop {
            let unlocked = database.unlocked.notified();
            match self.try_lock(id) {
                Ok(locked) => {
                    database.trip().await;
                    return Ok(locked);
                }
                Err(until) => {
                    let _ = timeout_at(until.min(self.until), unlocked).await;
                }
            }
            if self.until <= Instant::now() {
                return Err(Failure::RolledBack);
            }
        }
    }

    /// Until when somebody else has the lock, if so.
    fn try_lock(&self, id: u64) -> Result<(Option<Hero>, u64), Instant> {
        let mut tables = self.database.tables.lock();
        let now = Instant::now();
        match tables.locks.get(&id) {
            Some((owner, until)) if *owner != self.number && now < *until => Err(*until),
            _ => {
                tables.locks.insert(id, (self.number, self.until));
                let version = tables.versions.entry(id).or_default();
                *version += 1;
                let version = *version;
                Ok((tables.rows.get(&id).cloned(), version))
            }
        }
    }

    /// Commits; which commit it is.
    pub(super) async fn commit(
        mut self,
        process: usize,
        changes: Vec<Change>,
        journal: Vec<String>,
    ) -> Result<usize, Failure> {
        self.committing = true;
        let (number, until) = (self.number, self.until);
        let database = Arc::clone(&self.database);
        // Not the process's: what was sent arrives without it.
        let executed = tokio::spawn(async move {
            let began = database.clock.now();
            database.trip().await;
            let in_time = Instant::now() < until;
            let mut answer = Err(Failure::RolledBack);
            if in_time {
                let commit = Commit {
                    process,
                    began,
                    returned: None,
                    journalled: journal.iter().any(|entry| !entry.starts_with("all of ")),
                    whole: journal.iter().any(|entry| entry.starts_with("all of ")),
                    states: Vec::new(),
                };
                database.trace.note(|text| {
                    let _ = write!(text, "commit of {process}: {changes:?} journal {journal:?}");
                });
                answer = Ok(database.tables.lock().apply(changes, journal, commit));
                if database.rng.lock().u32(..1000) < database.loses_answers {
                    answer = Err(Failure::Ambiguous);
                }
            }
            database.unlock(number);
            database.trip().await;
            answer
        });
        executed
            .await
            .map_err(|_| Failure::Ambiguous)
            .and_then(identity)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.committing {
            self.database.unlock(self.number);
        }
    }
}

/// The journal as one instance reads it.
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
