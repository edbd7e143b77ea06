//! Transactions: row locks, and a COMMIT that survives its sender.

use std::convert::identity;
use std::fmt::Write as _;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::tables::{Change, Commit};
use super::{Database, Failure};
use crate::simulation::hero::Hero;

/// A transaction; dropping it rolls back.
pub(in crate::simulation) struct Transaction {
    pub(super) database: Arc<Database>,
    pub(super) number: u64,
    pub(super) until: Instant,
    /// True if the COMMIT releases the locks.
    pub(super) committing: bool,
}

impl Transaction {
    /// Locks a row, present or not. Returns it with the version of its next
    /// state.
    pub(in crate::simulation) async fn lock(
        &self,
        id: u64,
    ) -> Result<(Option<Hero>, u64), Failure> {
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

    /// Returns when another transaction releases the lock, if one holds it.
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

    /// Commits. Returns the number of the commit.
    pub(in crate::simulation) async fn commit(
        mut self,
        process: usize,
        changes: Vec<Change>,
        journal: Vec<String>,
    ) -> Result<usize, Failure> {
        self.committing = true;
        let (number, until) = (self.number, self.until);
        let database = Arc::clone(&self.database);
        // Not in the process, because a sent COMMIT arrives without it.
        let executed = tokio::spawn(async move {
            let began = database.clock.now();
            database.trip().await;
            let mut holds = database.holds_commits.subscribe();
            let _ = holds.wait_for(|holds| !holds).await;
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
