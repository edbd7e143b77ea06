//! Writes of rows in a transaction of the caller, each recorded in its `write`.
//!
//! A transaction that changes rows of several tables locks them first, always in the same
//! order, so that two of them never deadlock.

use aside::Write;
use sqlx::Execute;

use super::error::TableError;
use super::sql_table::SqlTable;
use super::statements::{names, selected};
use super::{Table, Tables};
use crate::change::{Change, take};
use crate::changeable::Changeable;

impl<E: Table<D>, D: Tables> SqlTable<E, D> {
    /// Inserts a row without the values that the database sets, and returns it as stored.
    ///
    /// # Errors
    /// The database's.
    pub async fn insert_row_in(
        &self,
        connection: &mut D::Connection,
        write: &mut Write,
        new: &E::New,
    ) -> Result<E, TableError> {
        let insert = &self.statements.insert;
        let after = self.one_in(connection, insert, |arguments| E::add_new(new, arguments));
        let mut after = after.await?;
        if !D::HAS_RETURNING {
            let is_given = E::COLUMNS.iter().all(|it| !it.is_id || it.is_inserted);
            let read = match is_given {
                true => &self.statements.by_id,
                false => &self.statements.inserted,
            };
            let bind_id = |arguments: &mut D::Arguments| E::add_new_id(new, arguments);
            after = self.one_in(connection, read, bind_id).await?;
        }
        self.created(after.ok_or(sqlx::Error::RowNotFound)?, write)
    }

    /// Inserts a row with its id, and returns it as stored.
    ///
    /// # Errors
    /// The database's.
    pub async fn save_row_in(
        &self,
        connection: &mut D::Connection,
        write: &mut Write,
        row: &E,
    ) -> Result<E, TableError> {
        let save = &self.statements.save;
        let after = self.one_in(connection, save, |arguments| E::add_saved(row, arguments));
        let mut after = after.await?;
        if !D::HAS_RETURNING {
            after = self.find_by_id_in(connection, row.id()).await?;
        }
        self.created(after.ok_or(sqlx::Error::RowNotFound)?, write)
    }

    fn created(&self, after: E, write: &mut Write) -> Result<E, TableError> {
        write.created(&after);
        keep_no_expression::<E, D>(&after, write);
        Ok(after)
    }

    /// Sets all columns of the row `before`, which [`lock_in`](Self::lock_in) returned. The
    /// UPDATE compares the version of `row`, if there is one, and increments it.
    ///
    /// # Errors
    /// [`TableError::Outdated`] if the row has another version than `row`, or the
    /// database's.
    pub async fn update_row_in(
        &self,
        connection: &mut D::Connection,
        write: &mut Write,
        before: &E,
        row: &E,
    ) -> Result<E, TableError> {
        if before.version() != row.version() {
            return Err(TableError::Outdated);
        }
        let Some(sql) = &self.statements.update else {
            return Ok(before.clone());
        };
        let after = self.one_in(connection, sql, |arguments| {
            E::add_updated(row, arguments)?;
            E::add_id(row.id(), arguments)?;
            E::add_version(row, arguments)
        });
        let mut after = after.await?;
        if !D::HAS_RETURNING {
            after = self.find_by_id_in(connection, row.id()).await?;
        }
        let after = after.ok_or(sqlx::Error::RowNotFound)?;
        write.updated(before, &after);
        keep_no_expression::<E, D>(&after, write);
        Ok(after)
    }

    /// Deletes the row `before`, which [`lock_in`](Self::lock_in) returned.
    ///
    /// # Errors
    /// The database's.
    pub async fn delete_row_in(
        &self,
        connection: &mut D::Connection,
        write: &mut Write,
        before: &E,
    ) -> Result<(), TableError> {
        write.deleted(before);
        let delete = &self.statements.delete;
        let bind = |arguments: &mut D::Arguments| E::add_id(before.id(), arguments);
        self.one_in(connection, delete, bind).await?;
        Ok(())
    }
}

/// Statements of which the database returns the rows.
impl<E: Table<D>, D: Tables + Changeable> SqlTable<E, D> {
    /// Inserts a row with its id, and returns it as stored. Returns `None` if its id is
    /// taken; then the transaction can go on.
    ///
    /// # Errors
    /// The database's, also for another unique column.
    pub async fn save_absent_row_in(
        &self,
        connection: &mut D::Connection,
        write: &mut Write,
        row: &E,
    ) -> Result<Option<E>, TableError> {
        let save = &self.statements.save_absent;
        let bind = |arguments: &mut D::Arguments| E::add_saved(row, arguments);
        let Some(after) = self.one_in(connection, save, bind).await? else {
            return Ok(None);
        };
        self.created(after, write).map(Some)
    }

    /// Changes the row `before`, which [`lock_in`](Self::lock_in) returned, by the caller's
    /// own UPDATE, and returns it as it is then. Returns `None` if its condition does not
    /// hold.
    ///
    /// # Errors
    /// The database's. Roll back, because the change may not be recorded.
    pub async fn change_row_in<'q>(
        &self,
        connection: &mut D::Connection,
        write: &mut Write,
        before: &E,
        statement: impl Execute<'q, D>,
    ) -> Result<Option<E>, TableError> {
        let (sql, arguments) = take(statement)?;
        let sql = format!("{sql}\nRETURNING {}", selected::<D>(E::COLUMNS));
        let rows: Vec<D::Row> = D::fetch_in(connection, sql.into(), arguments).await?;
        let Some(after) = rows.first().map(E::from_row).transpose()? else {
            return Ok(None);
        };
        write.updated(before, &after);
        keep_no_expression::<E, D>(&after, write);
        Ok(Some(after))
    }

    /// Describes rows of the table for a statement that changes many of them, like
    /// [`Changes::change`](crate::Changes::change). The statement must name no other table
    /// with the same columns.
    pub fn change_in<'t>(
        &self,
        connection: &'t mut D::Connection,
        write: &'t mut Write,
    ) -> Change<'t, D, E> {
        let change = Change::new(
            connection,
            write,
            E::NAME,
            E::from_row,
            has_expression::<E, D>(),
        );
        change
            .columns(&selected::<D>(E::COLUMNS))
            .sorted(&names::<D>(|it| it.is_id, E::COLUMNS))
    }
}

fn has_expression<E: Table<D>, D: Tables>() -> bool {
    E::COLUMNS.iter().any(|it| it.expression.is_some())
}

/// Lets a write leave no row in the cache that has an expression. Other tables decide its
/// value, and may have changed since the statement read them.
fn keep_no_expression<E: Table<D>, D: Tables>(after: &E, write: &mut Write) {
    if has_expression::<E, D>() {
        write.invalidate_id::<E>(after.id());
    }
}
