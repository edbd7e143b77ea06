//! A transaction and its end.

use aside::Write;
use aside_sqlx::{SqlTable, Table};
use uuid::Uuid;

use super::availability::{Held, Work};
use super::open::CommitStep;
use super::places::WritePlace;
use super::store::{Dialect, Store};
use crate::domain::{Row, TaleError};

/// A transaction. Dropped without a commit, it is rolled back.
pub(crate) struct Transaction<D: Dialect> {
    pub(super) connection: sqlx::Transaction<'static, D>,
    /// The place of a write. Declared after the connection, which is therefore
    /// released first.
    _place: Option<WritePlace>,
    _held: Held,
}

impl<D: Dialect> Store<D> {
    /// Begins the transaction of a write of `table`. `row` is the id of the
    /// existing row that it locks first, if any.
    pub(super) async fn begin<E: Row + Table<D>>(
        &self,
        table: &SqlTable<E, D>,
        write: &Write,
        row: Option<Uuid>,
    ) -> Result<Transaction<D>, TaleError> {
        let place = self.limits.places.of_write(row).await?;
        let connection = self.limits.write("row", table.begin(write)).await?;
        Ok(self.hold(connection, Some(place)))
    }

    /// Begins a transaction that reads all rows as of one moment, with no limit
    /// on its duration.
    pub(super) async fn begin_snapshot(&self) -> Result<Transaction<D>, TaleError> {
        let begun = D::begin_snapshot(&self.pool);
        let connection = self.limits.ask("row", Work::Read, begun).await?;
        Ok(self.hold(connection, None))
    }

    fn hold(
        &self,
        connection: sqlx::Transaction<'static, D>,
        place: Option<WritePlace>,
    ) -> Transaction<D> {
        Transaction {
            connection,
            _place: place,
            _held: self.limits.availability.hold(),
        }
    }

    /// Commits the changes recorded in `write`. Before that it quarantines
    /// their keys, so that no tier can cache them before the outcome is known.
    ///
    /// # Cancellation
    /// If dropped after the quarantine, the write is ambiguous. The rows it
    /// changed are read from the database until the quarantine ends.
    pub(super) async fn commit<E: Row + Table<D>>(
        &self,
        table: &SqlTable<E, D>,
        transaction: Transaction<D>,
        write: &mut Write,
    ) -> Result<(), TaleError> {
        let at_commit = self.limits.at_commit.unwrap_or(|_| ());
        if self.limits.at_commit.is_some() {
            // The commit finds these keys quarantined, and keeps them so.
            let _ = write.before_commit().await;
            at_commit(CommitStep::Quarantined);
            at_commit(CommitStep::Committing);
        }
        // A COMMIT without a reply may have succeeded.
        let committed = table.commit(transaction.connection, write);
        self.limits.write("row", committed).await?;
        at_commit(CommitStep::Committed);
        self.limits.availability.done(Work::Write);
        Ok(())
    }
}
