//! The journal, a transactional outbox: keys whose quarantine Redis did not
//! acknowledge.
//!
//! A write stores these keys in a table beside the data, in its own
//! transaction. Every instance that reaches Redis polls that table. It marks a
//! key found there as unreleased at once, then invalidates it in Redis, and
//! only then deletes the row. So writes committed by an instance that was cut
//! off from Redis, or crashed, reach the others through the database.
//!
//! Nothing of this is exclusive. Several instances may read a row, invalidate
//! its key and delete it, because each step is idempotent. So the SELECT takes
//! no locks; one that skips locked rows would show an empty table to a second
//! reader. Rows are deleted by id instead of tracked by a cursor, because ids
//! commit out of order and a cursor would skip late ones.
//!
//! The journal also determines when a suspicion ends. Writes made while Redis
//! was unreachable are in the table, so Redis is trusted only after the rows of
//! a SELECT that began after its PONG have been applied.

mod history;
mod hot_table;

use std::error::Error;
use std::future::Future;
use std::time::Duration;

pub use history::DatabaseHistory;

use crate::entity::key::{Key, is_plain_name};
use crate::entity::namespace::Namespace;

/// The prefix of an entry for a whole kind. No key has a blank before its first
/// colon.
const WHOLE_KIND: &str = "all of ";

/// Returns the journal entry for a whole kind.
pub(crate) fn whole_kind(kind: &str) -> String {
    format!("{WHOLE_KIND}{kind}")
}

/// The maximum length of an entry, in bytes.
const MAX_ENTRY_BYTES: usize = 8_192;

/// The target of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Kind(String),
    Key(Key),
}

/// Parses an entry; `None` if this library writes no such entry. The kind need
/// not be cached here, because other instances may cache it, and Redis
/// invalidates keys of any kind.
pub(crate) fn read(entry: &str, namespace: Namespace<'_>) -> Option<Target> {
    let is_kind = |kind: &str| is_plain_name(kind) && kind != "aside";
    if MAX_ENTRY_BYTES < entry.len() || entry.chars().any(char::is_control) {
        return None;
    }
    if let Some(kind) = entry.strip_prefix(WHOLE_KIND) {
        return is_kind(kind).then(|| Target::Kind(kind.to_owned()));
    }
    let (kind, rest) = namespace.strip(entry)?.split_once(':')?;
    (is_kind(kind) && !rest.is_empty()).then(|| Target::Key(Key::new(entry)))
}

/// The journal table, as an instance reads it.
///
/// `aside-sqlx` implements it for PostgreSQL, SQLite and MySQL. One table serves one
/// Redis and one namespace, because rows are deleted once *that* Redis has
/// invalidated the keys.
pub trait Journal: Send + Sync + 'static {
    /// The error of a query.
    type Error: Error + Send + Sync + 'static;

    /// Returns the greatest id, without taking a lock; `None` if there is no
    /// row.
    ///
    /// # Errors
    /// The database's, as of [`page`](Self::page).
    fn newest(&self) -> impl Future<Output = Result<Option<i64>, Self::Error>> + Send;

    /// Returns some rows with ids greater than `after`, by ascending id,
    /// without taking a lock; none if there are no more. A page of a few
    /// hundred is good: one is in memory at a time.
    ///
    /// # Errors
    /// The database's. Nothing counts as drained then, and the query is retried
    /// after `CACHE_JOURNAL_POLL_MS`.
    fn page(&self, after: i64)
    -> impl Future<Output = Result<Vec<JournalRow>, Self::Error>> + Send;

    /// Returns the [`newest`](Self::newest) id and the state of the database,
    /// in one query if possible. Each poll begins with it. By default the state
    /// is unknown, and a database that went back is not detected.
    ///
    /// # Errors
    /// The database's, as of [`page`](Self::page). A database that does not
    /// report its state is no error: [`history`](JournalState::history) is
    /// `None` then.
    fn state(&self) -> impl Future<Output = Result<JournalState, Self::Error>> + Send {
        async {
            Ok(JournalState {
                newest: self.newest().await?,
                history: None,
            })
        }
    }

    /// Increments the [`position`](DatabaseHistory::position) if it still
    /// equals the argument; does nothing by default. A database whose position
    /// grows by itself does not need it. Called about once per second.
    ///
    /// # Errors
    /// The database's. The call is retried.
    fn renew(&self, position: u64) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = position;
        async { Ok(()) }
    }

    /// Deletes rows; ids without a row are ignored.
    ///
    /// # Errors
    /// The database's. The rows are applied again.
    fn delete(&self, ids: &[i64]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Returns the parts of a kind's hot set, as
    /// [`replace_hot_set`](Self::replace_hot_set) stored them and in that order; none
    /// if they were stored longer than `max_age` ago by the clock of the database. A start
    /// reads them if Redis has no hot set of the kind. By default there are none.
    ///
    /// # Errors
    /// The database's. The kind is not warmed then.
    fn hot_set(
        &self,
        kind: &str,
        max_age: Duration,
    ) -> impl Future<Output = Result<Vec<String>, Self::Error>> + Send {
        let _ = (kind, max_age);
        async { Ok(Vec::new()) }
    }

    /// Replaces the parts of a kind's hot set, in one transaction. A part is text of at most
    /// 60,000 bytes without NUL, and all parts of a service have at most 1 MiB. Called by one
    /// instance about every ten minutes, and when an instance closes. By default it does
    /// nothing.
    ///
    /// # Errors
    /// The database's. The list stays as it was until the next call.
    fn replace_hot_set(
        &self,
        kind: &str,
        parts: &[String],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = (kind, parts);
        async { Ok(()) }
    }
}

/// The state of a database at the beginning of a poll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalState {
    /// The greatest id in the journal; `None` if it is empty.
    pub newest: Option<i64>,
    /// The history and position of the database; `None` if it does not report
    /// them.
    pub history: Option<DatabaseHistory>,
}

/// A row of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Its id, greater than that of any row inserted before.
    pub id: i64,
    /// The key or whole kind to invalidate, as
    /// [`Unacknowledged::journal_entries`](crate::journal::Unacknowledged::journal_entries) returned it. Any
    /// other text is counted as `malformed_journal_row`, and its row deleted.
    pub entry: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_a_key_or_a_kind() {
        let key = |text| Some(Target::Key(Key::new(text)));
        assert_eq!(read("hero:1", Namespace("")), key("hero:1"));
        assert_eq!(
            read("hero:name:a b%3A", Namespace("")),
            key("hero:name:a b%3A")
        );
        assert_eq!(read("prod:hero:1", Namespace("prod")), key("prod:hero:1"));
        let kind = Some(Target::Kind("hero".to_owned()));
        assert_eq!(read("all of hero", Namespace("prod")), kind);
    }

    #[test]
    fn a_row_of_another_form_is_malformed() {
        let long = format!("hero:{}", "x".repeat(MAX_ENTRY_BYTES));
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
            assert_eq!(read(entry, Namespace("")), None, "{entry:?}");
        }
        assert_eq!(read("hero:1", Namespace("prod")), None);
        assert_eq!(read("test:hero:1", Namespace("prod")), None);
        assert_eq!(read("prod:aside:epochs", Namespace("prod")), None);
    }
}
