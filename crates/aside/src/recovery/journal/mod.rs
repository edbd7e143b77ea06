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

mod history;

use std::error::Error;
use std::future::Future;

pub use history::DatabaseHistory;

use crate::entity::key::{Key, is_plain_name};

/// What the row of a whole kind begins with. No key has a blank before its
/// first colon.
const ALL_OF: &str = "all of ";

/// What stands in the journal for a whole kind.
pub(crate) fn all_of(kind: &str) -> String {
    format!("{ALL_OF}{kind}")
}

/// No row is longer, in bytes.
const LONGEST: usize = 8_192;

/// What a row asks to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Kind(String),
    Key(Key),
}

/// Reads a row; `None` if this library writes no such one. Whether its kind is
/// cached here does not matter: others may cache it, and Redis needs to know no
/// kind to forget a key.
pub(crate) fn read(entry: &str, namespace: &str) -> Option<Asked> {
    let is_kind = |kind: &str| is_plain_name(kind) && kind != "aside";
    if LONGEST < entry.len() || entry.chars().any(char::is_control) {
        return None;
    }
    if let Some(kind) = entry.strip_prefix(ALL_OF) {
        return is_kind(kind).then(|| Asked::Kind(kind.to_owned()));
    }
    let in_namespace = match namespace {
        "" => entry,
        namespace => entry.strip_prefix(namespace)?.strip_prefix(':')?,
    };
    let (kind, rest) = in_namespace.split_once(':')?;
    (is_kind(kind) && !rest.is_empty()).then(|| Asked::Key(Key::new(entry)))
}

/// A journal table, as an instance reads it.
///
/// `aside-sqlx` has it for SQLite and PostgreSQL. One table serves one Redis
/// and one namespace: rows are deleted once *that* Redis has forgotten the
/// keys.
pub trait Journal: Send + Sync + 'static {
    /// Why the database did not answer.
    type Error: Error + Send + Sync + 'static;

    /// The greatest id that there is, without any lock; `None` if there is no
    /// row.
    ///
    /// # Errors
    /// The database's, as of [`page`](Self::page).
    fn newest(&self) -> impl Future<Output = Result<Option<i64>, Self::Error>> + Send;

    /// Some rows whose id is greater than `after`, by ascending id, without
    /// any lock; none if there are no more. A few hundred are a good page:
    /// one is in memory at a time.
    ///
    /// # Errors
    /// The database's. Nothing is taken for drained then, and it is asked
    /// again after `CACHE_JOURNAL_POLL_MS`.
    fn page(&self, after: i64)
    -> impl Future<Output = Result<Vec<JournalRow>, Self::Error>> + Send;

    /// What each poll begins with, in one query if possible: the
    /// [`newest`](Self::newest) id, and how far the database has come. By default the
    /// latter is not known, and nothing notices that the database went back.
    ///
    /// # Errors
    /// The database's, as of [`page`](Self::page). That it does not tell its history
    /// is no error: [`history`](JournalState::history) is `None` then.
    fn state(&self) -> impl Future<Output = Result<JournalState, Self::Error>> + Send {
        async {
            Ok(JournalState {
                newest: self.newest().await?,
                history: None,
            })
        }
    }

    /// Raises the [`position`](DatabaseHistory::position) by one if it is still this
    /// one; does nothing by default. A database whose position grows by itself needs
    /// none. It is called about once a second.
    ///
    /// # Errors
    /// The database's. It is tried again.
    fn renew(&self, position: u64) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = position;
        async { Ok(()) }
    }

    /// Deletes rows; those that are gone already do not matter.
    ///
    /// # Errors
    /// The database's. The rows are worked off once more.
    fn delete(&self, ids: &[i64]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What a database shows at the beginning of a poll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    /// The greatest id in the journal; `None` if it is empty.
    pub newest: Option<i64>,
    /// How far the database has come; `None` if it does not tell.
    pub history: Option<DatabaseHistory>,
}

/// One row of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Its id, greater than that of any row inserted before.
    pub id: i64,
    /// What must be forgotten, as
    /// [`Unquarantined::rows`](crate::Unquarantined::rows) wrote it: a key as
    /// it stands in Redis, or a whole kind. What is neither is counted as
    /// `malformed_journal_row`, and deleted.
    pub entry: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_a_key_or_a_kind() {
        let key = |text| Some(Asked::Key(Key::new(text)));
        assert_eq!(read("hero:1", ""), key("hero:1"));
        assert_eq!(read("hero:name:a b%3A", ""), key("hero:name:a b%3A"));
        assert_eq!(read("prod:hero:1", "prod"), key("prod:hero:1"));
        let kind = Some(Asked::Kind("hero".to_owned()));
        assert_eq!(read("all of hero", "prod"), kind);
    }

    #[test]
    fn a_row_that_nobody_writes_is_malformed() {
        let long = format!("hero:{}", "x".repeat(LONGEST));
        for entry in [
            "",
            "hero",
            "hero:",
            ":1",
            "Hero:1",
            "aside:epochs",
            "hero:1\nE 0 1 hero",
            "hero:\u{7f}",
            "all of ",
            "all of aside",
            "all of *",
            "all of a hero",
            &long,
        ] {
            assert_eq!(read(entry, ""), None, "{entry:?}");
        }
        assert_eq!(read("hero:1", "prod"), None);
        assert_eq!(read("test:hero:1", "prod"), None);
        assert_eq!(read("prod:aside:epochs", "prod"), None);
    }
}
