//! The rows, the journal, and every commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use aside_testkit::history::{State, Time};
use tokio::time::Instant;

use crate::simulation::hero::{Hero, HeroIndex, QUERY, list_key, stands_in};

/// A change of one row within a transaction.
#[derive(Clone, Debug)]
pub(in crate::simulation) enum Change {
    Put(Hero),
    Delete(u64),
}

/// A committed transaction.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Commit {
    pub(in crate::simulation) process: usize,
    /// A time before it could commit.
    pub(in crate::simulation) began: Time,
    /// When its writer got the reply, if it did.
    pub(in crate::simulation) returned: Option<Time>,
    /// True if Redis did not acknowledge all of it.
    pub(in crate::simulation) journalled: bool,
    /// True if the whole kind was written.
    pub(in crate::simulation) whole: bool,
    /// The states of the keys since then.
    pub(in crate::simulation) states: Vec<(String, State)>,
}

#[derive(Default)]
pub(super) struct Tables {
    pub(super) rows: BTreeMap<u64, Hero>,
    /// Not reset when a row is deleted or rolled back.
    pub(super) versions: BTreeMap<u64, u64>,
    /// The counter of every list.
    pub(super) lists: BTreeMap<String, u64>,
    pub(super) locks: BTreeMap<u64, (u64, Instant)>,
    pub(super) transactions: u64,
    pub(super) journal: BTreeMap<i64, String>,
    pub(super) journalled: i64,
    pub(super) commits: Vec<Commit>,
}

impl Tables {
    pub(super) fn list(&self, key: &str) -> Arc<[Arc<Hero>]> {
        let list = self.lists.get(key).copied().unwrap_or(0);
        let stands = |row: &&Hero| stands_in(row, key);
        let rows = self.rows.values().filter(stands).map(|row| {
            let row = row.clone();
            Arc::new(Hero { list, ..row })
        });
        rows.collect()
    }

    pub(super) fn list_state(&self, key: &str) -> State {
        let rows = self.list(key);
        let version = self.lists.get(key).copied().unwrap_or(0);
        if rows.is_empty() {
            return State::Absent(Some(version));
        }
        State::list(version, rows.iter().map(|row| row.member()))
    }

    /// Applies a transaction at once. Returns its number among the commits.
    pub(super) fn apply(
        &mut self,
        changes: Vec<Change>,
        journal: Vec<String>,
        mut commit: Commit,
    ) -> usize {
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
                if stands_in(row, QUERY) {
                    touched.push(QUERY.to_owned());
                }
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
