//! Writes of a table: one transaction each, with the row locked first.

use std::sync::Arc;

use aside::{Repository, Write};
use sqlx::error::BoxDynError;

use super::error::TableError;
use super::sql_table::SqlTable;
use super::{Table, Tables};
use crate::commit::{commit, commit_recorded};

impl<E: Table<D>, D: Tables> SqlTable<E, D> {
    /// Inserts a row, and returns it with the values that the database set.
    ///
    /// [`Inserts::insert`](crate::Inserts::insert) of a cached repository calls it.
    ///
    /// # Errors
    /// The database's, or [`TableError::Refused`].
    pub async fn insert_in(&self, new: E::New, write: &mut Write) -> Result<Arc<E>, TableError> {
        let is_given = E::COLUMNS.iter().all(|it| !it.is_id || it.is_inserted);
        let read = if is_given {
            &self.statements.by_id
        } else {
            &self.statements.inserted
        };
        self.insert_row(
            write,
            &self.statements.insert,
            |arguments| E::add_new(&new, arguments),
            read,
            |arguments| E::add_new_id(&new, arguments),
        )
        .await
    }

    /// Inserts with the statement `sql`. A second one, `read`, reads the row if the first
    /// does not return it.
    async fn insert_row(
        &self,
        write: &mut Write,
        sql: &Arc<str>,
        bind: impl FnOnce(&mut D::Arguments) -> Result<(), BoxDynError> + Send,
        read: &Arc<str>,
        bind_id: impl FnOnce(&mut D::Arguments) -> Result<(), BoxDynError> + Send,
    ) -> Result<Arc<E>, TableError> {
        let mut transaction = D::begin(&self.pool, self.has_journal, write).await?;
        let mut after = self.one_in(&mut transaction, sql, bind).await?;
        if !D::HAS_RETURNING {
            after = self.one_in(&mut transaction, read, bind_id).await?;
        }
        let after = after.ok_or(sqlx::Error::RowNotFound)?;
        write.created(&after);
        keep_no_expression::<E, D>(&after, write);
        self.commit(transaction, write).await?;
        Ok(Arc::new(after))
    }

    /// Changes a locked row with a statement, and returns it as it is then.
    async fn change(
        &self,
        connection: &mut D::Connection,
        sql: &Arc<str>,
        row: &E,
    ) -> Result<E, TableError> {
        let after = self.one_in(connection, sql, |arguments| {
            E::add_updated(row, arguments)?;
            E::add_id(row.id(), arguments)?;
            E::add_version(row, arguments)
        });
        let mut after = after.await?;
        if !D::HAS_RETURNING {
            after = self.find_by_id_in(connection, row.id()).await?;
        }
        Ok(after.ok_or(sqlx::Error::RowNotFound)?)
    }

    async fn commit(
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
}

impl<E: Table<D>, D: Tables> Repository for SqlTable<E, D> {
    /// Inserts a row with its id, also if the database could generate one.
    async fn save_in(&self, row: E, write: &mut Write) -> Result<Arc<E>, TableError> {
        self.insert_row(
            write,
            &self.statements.save,
            |arguments| E::add_saved(&row, arguments),
            &self.statements.by_id,
            |arguments| E::add_id(row.id(), arguments),
        )
        .await
    }

    /// Sets all columns of a row. A version must be that of the row in the database.
    async fn update_in(&self, row: E, write: &mut Write) -> Result<Option<Arc<E>>, TableError> {
        let mut transaction = D::begin(&self.pool, self.has_journal, write).await?;
        let Some(before) = self.lock_in(&mut transaction, row.id()).await? else {
            return Ok(None);
        };
        if before.version() != row.version() {
            return Err(TableError::Outdated);
        }
        let Some(sql) = &self.statements.update else {
            return Ok(Some(Arc::new(before)));
        };
        let after = self.change(&mut transaction, sql, &row).await?;
        write.updated(&before, &after);
        keep_no_expression::<E, D>(&after, write);
        self.commit(transaction, write).await?;
        Ok(Some(Arc::new(after)))
    }

    async fn delete_in(&self, id: &E::Id, write: &mut Write) -> Result<bool, TableError> {
        let mut transaction = D::begin(&self.pool, self.has_journal, write).await?;
        let Some(before) = self.lock_in(&mut transaction, id).await? else {
            return Ok(false);
        };
        write.deleted(&before);
        let delete = &self.statements.delete;
        let deleted = self.one_in(&mut transaction, delete, |arguments| {
            E::add_id(id, arguments)
        });
        deleted.await?;
        self.commit(transaction, write).await?;
        Ok(true)
    }
}

/// Lets a write leave no row in the cache that has an expression. Other tables decide its
/// value, and may have changed since the statement read them.
fn keep_no_expression<E: Table<D>, D: Tables>(after: &E, write: &mut Write) {
    if E::COLUMNS.iter().any(|it| it.expression.is_some()) {
        write.invalidate_id::<E>(after.id());
    }
}
