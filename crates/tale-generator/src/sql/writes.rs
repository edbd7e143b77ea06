//! Writes of one row of any kind: the row is locked, and compared with the state
//! that the caller expects.

use std::sync::Arc;

use aside::Write;
use uuid::Uuid;

use super::kind::Kind;
use super::store::{Dialect, Store};
use super::transaction::Transaction;
use crate::domain::{Draft as _, Expected, Row, TaleError, now};

impl<D: Dialect> Store<D> {
    /// Adds the row with version 1 and the current time.
    pub(super) async fn save<E: Kind<D>>(
        &self,
        mut row: E,
        write: &mut Write,
    ) -> Result<Arc<E>, TaleError> {
        row.draft().validate()?;
        let now = now();
        row.set_stamps((now, now, 1));
        once_more!({
            let table = E::table(self);
            let mut transaction = self.begin(table, write, row.owner()).await?;
            let unknown = row.settle(self, &mut transaction).await?;
            unknown.map_or(Ok(()), Err)?;
            let after = self.insert(&mut transaction, &row, write).await?;
            let after = after.ok_or(TaleError::Exists { kind: E::KIND })?;
            self.commit(table, transaction, write).await?;
            Ok(Arc::new(after))
        })
    }

    /// Inserts the row unchanged. Returns `None` if its id is taken.
    pub(super) async fn insert<E: Kind<D>>(
        &self,
        transaction: &mut Transaction<D>,
        row: &E,
        write: &mut Write,
    ) -> Result<Option<E>, TaleError> {
        let connection = &mut transaction.connection;
        let insert = E::table(self).save_absent_row_in(connection, write, row);
        self.limits.write(E::KIND, insert).await
    }

    /// Replaces the row of the same id if it is in the expected state. Returns
    /// `None` if there is no such row. The rows that it refers to, and those that
    /// refer to it, change with it.
    pub(super) async fn update<E: Kind<D>>(
        &self,
        mut row: E,
        expected: &Expected,
        write: &mut Write,
    ) -> Result<Option<Arc<E>>, TaleError> {
        row.draft().validate()?;
        once_more!({
            let table = E::table(self);
            let mut transaction = self.begin(table, write, Some(*row.id())).await?;
            // The child and the hero are locked first, as everywhere. An
            // unknown one is reported only if the row exists.
            let unknown = row.settle(self, &mut transaction).await?;
            let before = table.lock_in(&mut transaction.connection, row.id());
            let Some(before) = self.limits.write(E::KIND, before).await? else {
                return Ok(None);
            };
            unknown.map_or(Ok(()), Err)?;
            expect(&before, expected)?;
            let (created_at, updated_at, version) = before.stamps();
            row.set_stamps((created_at, updated_at.max(now()), version));
            let connection = &mut transaction.connection;
            let after = table.update_row_in(connection, write, &before, &row);
            let after = self.limits.write(E::KIND, after).await?;
            after.follow(&before, self, &mut transaction, write).await?;
            self.commit(table, transaction, write).await?;
            Ok(Some(Arc::new(after)))
        })
    }

    /// Deletes the row if it is in the expected state. Returns false if there
    /// is none.
    pub(super) async fn delete<E: Kind<D>>(
        &self,
        id: Uuid,
        expected: &Expected,
        write: &mut Write,
    ) -> Result<bool, TaleError> {
        once_more!({
            let table = E::table(self);
            let mut transaction = self.begin(table, write, Some(id)).await?;
            let before = table.lock_in(&mut transaction.connection, &id);
            let Some(before) = self.limits.write(E::KIND, before).await? else {
                return Ok(false);
            };
            expect(&before, expected)?;
            before.leave(self, &mut transaction, write).await?;
            let connection = &mut transaction.connection;
            let deleted = table.delete_row_in(connection, write, &before);
            self.limits.write(E::KIND, deleted).await?;
            self.commit(table, transaction, write).await?;
            Ok(true)
        })
    }
}

/// Compares a row, which is locked, with the state that the caller expects.
pub(super) fn expect<E: Row>(before: &E, expected: &Expected) -> Result<(), TaleError> {
    let (_, _, current) = before.stamps();
    match expected.admits(before, current) {
        true => Ok(()),
        false => Err(TaleError::Conflict { current }),
    }
}
