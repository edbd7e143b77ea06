//! Statements that change rows of which only a condition is known.
//!
//! The lists that contained a changed row are known only with the row before.
//! So the rows are locked and read first, in the order of their ids, and the
//! statement returns them as they are then. A row may enter the condition in
//! between, because another transaction commits. It was not read, and so its
//! lists before are unknown. A count of rows would not find it: another row may
//! have left. So ids are compared, and the whole kind is recorded if one is new.

use std::collections::HashMap;
use std::fmt;

use aside::{Entity, Write};
use sqlx::{Arguments as _, Encode, Execute, Type};

use crate::changeable::{Changeable, IS_NEW};
use crate::triggers::{Columns, identifier, table};

/// A statement that changes more rows than this records the whole kind.
const MAX_ROWS: usize = 1_000;

/// Rows that a statement is going to change.
///
/// ```no_run
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, aside::Entity, sqlx::FromRow)]
/// # #[entity(kind = "article")]
/// # struct Article {
/// #     #[entity(id)]
/// #     article_id: i64,
/// #     #[entity(index)]
/// #     user_id: i64,
/// # }
/// use aside_sqlx::{Changes as _, PostgresJournal};
///
/// # async fn hide(cache: aside::CacheService, journal: PostgresJournal, author: i64) -> Result<(), Box<dyn std::error::Error>> {
/// let mut transaction = cache.begin(&journal).await?;
/// let hide = "UPDATE article SET hidden = true WHERE user_id = $1";
/// let changed = transaction
///     .change::<Article>("article")
///     .id("article_id")
///     .rows("user_id = $1")
///     .bind(author)
///     .update(sqlx::query(hide).bind(author))
///     .await?;
/// println!("{} articles are hidden", changed.after.len());
/// transaction.commit().await?;
/// # Ok(()) }
/// ```
///
/// The statement must not have a RETURNING clause, because one is appended. It
/// must not give the table another name. Rows that foreign keys or triggers
/// change with it are not seen.
#[must_use = "nothing is changed before `update`, `delete` or `upsert` is awaited"]
pub struct Change<'t, D: Changeable, E> {
    connection: &'t mut D::Connection,
    write: &'t mut Write,
    /// The table in SQL.
    table: String,
    /// The same without its schema.
    name: String,
    columns: String,
    order: String,
    condition: String,
    arguments: Result<D::Arguments, sqlx::Error>,
    read: fn(&D::Row) -> Result<E, sqlx::Error>,
    /// True if a row has values of other tables, so that no write may leave it in the cache.
    has_expression: bool,
}

impl<D: Changeable, E> fmt::Debug for Change<'_, D, E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Change")
            .field("table", &self.table)
            .field("condition", &self.condition)
            .finish_non_exhaustive()
    }
}

/// The rows that a statement changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed<E> {
    /// The rows as they were under their lock, in the order of their ids. Empty
    /// after a statement for more than 1,000 rows.
    pub before: Vec<E>,
    /// The changed rows as the statement returned them; empty as above.
    pub after: Vec<E>,
    /// True if the whole kind was recorded: for more than 1,000 rows, or for a
    /// row that another transaction added meanwhile.
    pub is_whole_kind: bool,
}

impl<'t, D: Changeable, E> Change<'t, D, E> {
    pub(crate) fn new(
        connection: &'t mut D::Connection,
        write: &'t mut Write,
        name: &str,
        read: fn(&D::Row) -> Result<E, sqlx::Error>,
        has_expression: bool,
    ) -> Self {
        let last = name.rsplit('.').next().unwrap_or(name);
        Self {
            connection,
            write,
            table: table(name),
            name: identifier(last),
            columns: D::all_columns(&identifier(last)),
            order: identifier("id"),
            condition: "TRUE".to_owned(),
            arguments: Ok(D::Arguments::default()),
            read,
            has_expression,
        }
    }

    /// Sets the SQL by whose order rows are locked.
    pub(crate) fn sorted(mut self, sql: &str) -> Self {
        sql.clone_into(&mut self.order);
        self
    }
}

impl<D: Changeable, E: Entity> Change<'_, D, E> {
    /// Sets the columns of the id, by which rows are locked in order. Default:
    /// `id`.
    pub fn id(mut self, columns: impl Columns) -> Self {
        let columns = columns.named().into_names();
        let columns: Vec<String> = columns.iter().map(|name| identifier(name)).collect();
        self.order = columns.join(", ");
        self
    }

    /// Sets the SQL of the columns that a row is read from. Default: those of
    /// the table.
    pub fn columns(mut self, sql: &str) -> Self {
        sql.clone_into(&mut self.columns);
        self
    }

    /// Sets the condition of the rows, in SQL. It must hold for every row that
    /// the statement changes. Default: all rows.
    pub fn rows(mut self, condition: &str) -> Self {
        condition.clone_into(&mut self.condition);
        self
    }

    /// Binds the next value of the condition.
    pub fn bind<'v>(mut self, value: impl Encode<'v, D> + Type<D>) -> Self {
        let arguments = self.arguments.as_mut();
        let added = arguments.map_or(Ok(()), |arguments| arguments.add(value));
        if let Err(error) = added {
            self.arguments = Err(sqlx::Error::Encode(error));
        }
        self
    }

    /// Runs an UPDATE, and records each row before and after it.
    ///
    /// # Errors
    /// The database's. Roll back, because the change may not be recorded.
    pub async fn update<'q>(
        self,
        statement: impl Execute<'q, D>,
    ) -> Result<Changed<E>, sqlx::Error> {
        self.run(statement, false).await
    }

    /// Runs an `INSERT ... ON CONFLICT ... DO UPDATE`, and records each row
    /// before and after it. A row that did not exist is recorded as created.
    ///
    /// On SQLite a row outside of the condition is taken for a new one. PostgreSQL
    /// refuses this on a partitioned table; [`Write::upserted`] is for that.
    ///
    /// # Errors
    /// As of [`update`](Self::update).
    pub async fn upsert<'q>(
        self,
        statement: impl Execute<'q, D>,
    ) -> Result<Changed<E>, sqlx::Error> {
        self.run(statement, true).await
    }

    async fn run<'q>(
        mut self,
        statement: impl Execute<'q, D>,
        is_upsert: bool,
    ) -> Result<Changed<E>, sqlx::Error> {
        let (sql, arguments) = take(statement)?;
        let Some(before) = self.lock().await? else {
            return self.run_for_many(sql, arguments).await;
        };
        if is_upsert {
            self.columns = format!("{}, {} AS {IS_NEW}", self.columns, D::is_new(&self.name));
        }
        let rows = self.returned(&sql, arguments).await?;
        self.record(before, rows, |row| {
            is_upsert && D::get(row).unwrap_or(false)
        })
    }

    /// Runs a DELETE, and records each row that it deleted. It returns the rows,
    /// so neither a condition nor a lock is needed.
    ///
    /// # Errors
    /// As of [`update`](Self::update).
    pub async fn delete<'q>(
        mut self,
        statement: impl Execute<'q, D>,
    ) -> Result<Changed<E>, sqlx::Error> {
        let (sql, arguments) = take(statement)?;
        let mut before = Vec::new();
        for row in self.returned(&sql, arguments).await? {
            before.push((self.read)(&row)?);
        }
        for row in &before {
            self.write.deleted(row);
        }
        Ok(Changed {
            before,
            after: Vec::new(),
            is_whole_kind: false,
        })
    }

    /// Locks and reads the rows; `None` if there are too many.
    async fn lock(&mut self) -> Result<Option<Vec<E>>, sqlx::Error> {
        let sql = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {} {}",
            self.columns,
            self.table,
            self.condition,
            self.order,
            MAX_ROWS + 1,
            D::FOR_UPDATE,
        );
        let none = Ok(D::Arguments::default());
        let arguments = std::mem::replace(&mut self.arguments, none)?;
        let rows = D::fetch(self.connection, sql, arguments).await?;
        if MAX_ROWS < rows.len() {
            return Ok(None);
        }
        let rows: Result<Vec<E>, _> = rows.iter().map(self.read).collect();
        rows.map(Some)
    }

    async fn run_for_many(
        self,
        sql: String,
        arguments: D::Arguments,
    ) -> Result<Changed<E>, sqlx::Error> {
        D::fetch(self.connection, sql, arguments).await?;
        self.write.whole_kind::<E>();
        Ok(Changed {
            before: Vec::new(),
            after: Vec::new(),
            is_whole_kind: true,
        })
    }

    /// Runs the statement and returns the rows that it changed.
    async fn returned(
        &mut self,
        sql: &str,
        arguments: D::Arguments,
    ) -> Result<Vec<D::Row>, sqlx::Error> {
        // On a new line, because the last one may end with a comment.
        let sql = sql.trim_end().trim_end_matches(';');
        let sql = format!("{sql}\nRETURNING {}", self.columns);
        D::fetch(self.connection, sql, arguments).await
    }

    /// Records the rows. `is_new` decides if a row that was not locked did not
    /// exist.
    fn record(
        self,
        before: Vec<E>,
        rows: Vec<D::Row>,
        is_new: impl Fn(&D::Row) -> bool,
    ) -> Result<Changed<E>, sqlx::Error> {
        let mut after = Vec::new();
        let mut is_whole_kind = false;
        let locked: HashMap<&E::Id, &E> = before.iter().map(|row| (row.id(), row)).collect();
        for row in rows {
            let current = (self.read)(&row)?;
            match locked.get(current.id()) {
                Some(before) => self.write.updated(*before, &current),
                None if is_new(&row) => self.write.created(&current),
                None => is_whole_kind = true,
            }
            if self.has_expression {
                self.write.invalidate_id::<E>(current.id());
            }
            after.push(current);
        }
        if is_whole_kind {
            self.write.unknown_rows::<E>();
        }
        Ok(Changed {
            before,
            after,
            is_whole_kind,
        })
    }
}

/// Returns the SQL and the arguments of a statement.
pub(crate) fn take<'q, D: Changeable>(
    mut statement: impl Execute<'q, D>,
) -> Result<(String, D::Arguments), sqlx::Error> {
    let arguments = statement.take_arguments().map_err(sqlx::Error::Encode)?;
    let sql = statement.sql().as_str().to_owned();
    Ok((sql, arguments.unwrap_or_default()))
}
