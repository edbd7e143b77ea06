//! Writes of a table: one transaction each, with the row locked first.

use std::sync::Arc;

use aside::{Repository, Write};

use super::error::TableError;
use super::sql_table::SqlTable;
use super::{Table, Tables};
use crate::commit::{commit, commit_recorded};

impl<E: Table<D>, D: Tables> SqlTable<E, D> {
    /// Begins the transaction of a write that a repository received, for changes of several
    /// tables. In a handler use [`CacheService::begin`](aside::CacheService::begin).
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&self, write: &Write) -> Result<sqlx::Transaction<'static, D>, TableError> {
        Ok(D::begin(&self.pool, self.has_journal, write).await?)
    }

    /// Commits the transaction of a write. Before that it quarantines the recorded keys, and
    /// inserts those that Redis did not acknowledge into the journal, if there is one.
    ///
    /// # Errors
    /// The database's, or [`TableError::Refused`].
    ///
    /// # Cancellation
    /// If dropped after the COMMIT was sent, the write is ambiguous.
    pub async fn commit(
        &self,
        transaction: sqlx::Transaction<'static, D>,
        write: &mut Write,
    ) -> Result<(), TableError> {
        if self.has_journal {
            commit_recorded(transaction, write, self.policy).await?;
        } else {
            commit(transaction, write).await?;
        }
        Ok(())
    }

    /// Inserts a row, and returns it with the values that the database set.
    ///
    /// [`Inserts::insert`](crate::Inserts::insert) of a cached repository calls it.
    ///
    /// # Errors
    /// The database's, or [`TableError::Refused`].
    pub async fn insert_in(&self, new: E::New, write: &mut Write) -> Result<Arc<E>, TableError> {
        let mut transaction = self.begin(write).await?;
        let after = self.insert_row_in(&mut transaction, write, &new).await?;
        self.commit(transaction, write).await?;
        Ok(Arc::new(after))
    }
}

impl<E: Table<D>, D: Tables> Repository for SqlTable<E, D> {
    /// Inserts a row with its id, also if the database could generate one.
    async fn save_in(&self, row: E, write: &mut Write) -> Result<Arc<E>, TableError> {
        let mut transaction = self.begin(write).await?;
        let after = self.save_row_in(&mut transaction, write, &row).await?;
        self.commit(transaction, write).await?;
        Ok(Arc::new(after))
    }

    /// Sets all columns of a row. A version must be that of the row in the database.
    async fn update_in(&self, row: E, write: &mut Write) -> Result<Option<Arc<E>>, TableError> {
        let mut transaction = self.begin(write).await?;
        let Some(before) = self.lock_in(&mut transaction, row.id()).await? else {
            return Ok(None);
        };
        let after = self.update_row_in(&mut transaction, write, &before, &row);
        let after = after.await?;
        self.commit(transaction, write).await?;
        Ok(Some(Arc::new(after)))
    }

    async fn delete_in(&self, id: &E::Id, write: &mut Write) -> Result<bool, TableError> {
        let mut transaction = self.begin(write).await?;
        let Some(before) = self.lock_in(&mut transaction, id).await? else {
            return Ok(false);
        };
        self.delete_row_in(&mut transaction, write, &before).await?;
        self.commit(transaction, write).await?;
        Ok(true)
    }
}
