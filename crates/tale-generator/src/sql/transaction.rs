//! A transaction and its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aside::{Write, journal::Unacknowledged};
use aside_sqlx::{OutOfReach, PostgresJournal, RecordError, SqliteJournal, commit};
use sqlx::{Postgres, Sqlite};
use tokio::time::timeout;

use super::availability::{Availability, Held, Work};
use super::columns::{FromColumns, read_postgres, read_sqlite};
use super::open::CommitStep;
use super::places::WritePlace;
use super::statement::{Statement, Value};
use crate::domain::TaleError;

/// A transaction. Dropped without a commit, it is rolled back.
pub(super) struct Transaction {
    inner: Inner,
    limit: Duration,
    availability: Arc<Availability>,
    /// Called at each step of the commit.
    pub(super) at_commit: Option<fn(CommitStep)>,
    /// The place of this write. Declared after the connection, which is
    /// therefore released first.
    pub(super) place: Option<WritePlace>,
    _held: Held,
}

enum Inner {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    pub(super) fn sqlite(
        inner: sqlx::Transaction<'static, Sqlite>,
        limit: Duration,
        availability: Arc<Availability>,
    ) -> Self {
        Self {
            inner: Inner::Sqlite(inner),
            limit,
            at_commit: None,
            place: None,
            _held: availability.hold(),
            availability,
        }
    }

    pub(super) fn postgres(
        inner: sqlx::Transaction<'static, Postgres>,
        limit: Duration,
        availability: Arc<Availability>,
    ) -> Self {
        Self {
            inner: Inner::Postgres(inner),
            limit,
            at_commit: None,
            place: None,
            _held: availability.hold(),
            availability,
        }
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn fetch<T: FromColumns>(
        &mut self,
        statement: Statement,
        values: Vec<Value>,
        kind: &'static str,
    ) -> Result<Vec<T>, TaleError> {
        let rows = async {
            match &mut self.inner {
                Inner::Sqlite(inner) => {
                    let query = statement.for_sqlite(values)?;
                    read_sqlite(&query.fetch_all(&mut **inner).await?)
                }
                Inner::Postgres(inner) => {
                    let query = statement.for_postgres(values);
                    read_postgres(&query.fetch_all(&mut **inner).await?)
                }
            }
        };
        let begun = Instant::now();
        let outcome = timeout(self.limit, rows)
            .await
            .map_err(|_| TaleError::Busy)?;
        self.availability.judge(begun, outcome, kind, Work::Write)
    }

    /// Runs a statement and returns its first row.
    pub(super) async fn fetch_first<T: FromColumns>(
        &mut self,
        statement: Statement,
        values: Vec<Value>,
        kind: &'static str,
    ) -> Result<Option<T>, TaleError> {
        Ok(self
            .fetch(statement, values, kind)
            .await?
            .into_iter()
            .next())
    }

    /// Runs a statement and ignores its rows.
    pub(super) async fn execute(
        &mut self,
        statement: Statement,
        values: Vec<Value>,
        kind: &'static str,
    ) -> Result<(), TaleError> {
        let done = async {
            match &mut self.inner {
                Inner::Sqlite(inner) => {
                    let query = statement.for_sqlite(values)?;
                    query.execute(&mut **inner).await.map(drop)
                }
                Inner::Postgres(inner) => {
                    let query = statement.for_postgres(values);
                    query.execute(&mut **inner).await.map(drop)
                }
            }
        };
        let begun = Instant::now();
        let outcome = timeout(self.limit, done)
            .await
            .map_err(|_| TaleError::Busy)?;
        self.availability.judge(begun, outcome, kind, Work::Write)
    }

    /// Commits the changes recorded in `write`. Before that it quarantines
    /// their keys, so that no tier can cache them before the outcome is known.
    ///
    /// # Cancellation
    /// If dropped after the quarantine, the write is ambiguous. The rows it
    /// changed are read from the database until the quarantine ends.
    pub(super) async fn commit(mut self, write: &mut Write) -> Result<(), TaleError> {
        let journalled = {
            let left = write.before_commit().await;
            self.reach(CommitStep::Quarantined);
            self.journal(&left).await
        };
        if let Err(error) = journalled {
            if self.rollback().await {
                write.rolled_back();
            }
            return Err(error);
        }
        self.reach(CommitStep::Committing);
        let at_commit = self.at_commit;
        // All keys are quarantined, so this commits and judges the outcome. A
        // write of whole kinds raises their epochs once more.
        let committed = async {
            match self.inner {
                Inner::Sqlite(inner) => commit(inner, write).await,
                Inner::Postgres(inner) => commit(inner, write).await,
            }
        };
        // A COMMIT without a reply may have succeeded.
        let begun = Instant::now();
        let verdict = timeout(self.limit, committed)
            .await
            .map_err(|_| TaleError::Busy)?;
        if let (Ok(()), Some(at_commit)) = (&verdict, at_commit) {
            at_commit(CommitStep::Committed);
        }
        self.availability
            .judge(begun, verdict, "row", Work::Write)
            .inspect(|()| self.availability.done(Work::Write))
    }

    fn reach(&self, step: CommitStep) {
        if let Some(at_commit) = self.at_commit {
            at_commit(step);
        }
    }

    /// Stores the keys that Redis did not acknowledge, in this transaction.
    async fn journal(&mut self, left: &Unacknowledged<'_>) -> Result<(), TaleError> {
        let policy = OutOfReach::Journal;
        let recorded = async {
            match &mut self.inner {
                Inner::Sqlite(inner) => SqliteJournal::record(inner, left, policy).await,
                Inner::Postgres(inner) => PostgresJournal::record(inner, left, policy).await,
            }
        };
        let begun = Instant::now();
        let recorded = timeout(self.limit, recorded)
            .await
            .map_err(|_| TaleError::Busy)?;
        let recorded = match recorded {
            Ok(()) => Ok(()),
            Err(RecordError::Database(error)) => Err(error),
            // Cannot happen with this policy.
            Err(RecordError::Refused) => return Err(TaleError::Busy),
        };
        self.availability.judge(begun, recorded, "row", Work::Write)
    }

    /// Rolls back. Returns true if that is certain.
    async fn rollback(self) -> bool {
        let rolled_back = async {
            match self.inner {
                Inner::Sqlite(inner) => inner.rollback().await,
                Inner::Postgres(inner) => inner.rollback().await,
            }
        };
        matches!(timeout(self.limit, rolled_back).await, Ok(Ok(())))
    }
}
