//! Reads of a caller's own condition, in the columns of a table.

use std::fmt;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use sqlx::{Arguments as _, Encode, Type};

use super::error::TableError;
use super::sql_table::SqlTable;
use super::statements::equal;
use super::{Table, Tables};

/// A SELECT of the rows of a [`SqlTable`], on a connection of the caller. The cache is
/// neither asked nor filled.
///
/// A page of a list, by the position of the last row before it (keyset pagination):
///
/// ```no_run
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize, aside::Entity, aside_sqlx::Table)]
/// # #[entity(kind = "article")]
/// # #[table("article", postgres, order = "written_at, id")]
/// # struct Article {
/// #     #[entity(id)]
/// #     id: i64,
/// #     #[entity(index)]
/// #     user_id: i64,
/// #     written_at: i64,
/// # }
/// # async fn page(pool: sqlx::PgPool, last: Article) -> Result<(), aside_sqlx::TableError> {
/// let articles = Article::table(&pool);
/// let page = articles
///     .select()
///     .rows("($1, $2) < (written_at, id)")
///     .bind(last.written_at)
///     .bind(last.id)
///     .list(&ArticleIndex::UserId(7))
///     .limit(20)
///     .fetch_in(&mut *pool.acquire().await?)
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "nothing is read before `fetch_in` is awaited"]
pub struct Select<'t, E: Table<D>, D: Tables> {
    table: &'t SqlTable<E, D>,
    condition: Option<String>,
    arguments: Result<D::Arguments, sqlx::Error>,
    list: Option<&'t E::Index>,
    order: Option<&'t str>,
    limit: Option<u32>,
}

impl<E: Table<D>, D: Tables> SqlTable<E, D> {
    /// Begins a SELECT. Without further calls it reads all rows, in the table's order.
    pub fn select(&self) -> Select<'_, E, D> {
        Select {
            table: self,
            condition: None,
            arguments: Ok(D::Arguments::default()),
            list: None,
            order: None,
            limit: None,
        }
    }
}

impl<'t, E: Table<D>, D: Tables> Select<'t, E, D> {
    /// Sets the condition of the rows, in SQL, with the parameters of the database: `$1`,
    /// or `?` on MySQL. Default: all rows.
    pub fn rows(mut self, condition: &str) -> Self {
        self.condition = Some(condition.to_owned());
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

    /// Reads only rows of one list.
    pub fn list(mut self, index: &'t E::Index) -> Self {
        self.list = Some(index);
        self
    }

    /// Sets the SQL by which the rows are sorted. Default: the order of the table.
    pub fn order(mut self, sql: &'t str) -> Self {
        self.order = Some(sql);
        self
    }

    /// Reads at most this many rows. Default: no limit.
    pub fn limit(mut self, rows: u32) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Reads the rows.
    ///
    /// # Errors
    /// The database's.
    pub async fn fetch_in(self, connection: &mut D::Connection) -> Result<Vec<E>, TableError> {
        let (sql, arguments) = self.statement()?;
        let rows = D::fetch_in(connection, sql, arguments).await?;
        let rows: Result<Vec<E>, sqlx::Error> = rows.iter().map(E::from_row).collect();
        Ok(rows?)
    }

    /// Reads the rows one by one, for a reader that stops or keeps few of them. If the
    /// stream is dropped before its end, the connection reads the rest of the rows at its
    /// next use.
    ///
    /// # Errors
    /// The database's, as the item of the stream or before it.
    pub fn stream_in<'c>(
        self,
        connection: &'c mut D::Connection,
    ) -> Result<impl Stream<Item = Result<E, TableError>> + Send + use<'c, E, D>, TableError> {
        let (sql, arguments) = self.statement()?;
        let rows = D::stream_in(connection, sql, arguments);
        Ok(rows.map(|row| Ok(E::from_row(&row?)?)))
    }

    /// Returns the statement. The condition comes first, because its parameters have the
    /// first numbers.
    fn statement(self) -> Result<(Arc<str>, D::Arguments), sqlx::Error> {
        let statements = &self.table.statements;
        let mut arguments = self.arguments?;
        let mut conditions: Vec<String> = Vec::new();
        conditions.extend(self.condition.map(|condition| format!("({condition})")));
        if let Some(index) = self.list {
            let begin = arguments.len() + 1;
            conditions.push(equal::<D>(E::index_columns(index), begin));
            E::add_index(index, &mut arguments).map_err(sqlx::Error::Encode)?;
        }
        let mut sql = statements.select.clone();
        if !conditions.is_empty() {
            sql.push_str(" WHERE ");
            sql.push_str(&conditions.join(" AND "));
        }
        match self.order {
            Some(order) => sql.push_str(&format!(" ORDER BY {order}")),
            None => sql.push_str(&statements.order),
        }
        if let Some(limit) = self.limit {
            // A parameter, so that other limits need no other statement to prepare.
            sql.push_str(&format!(" LIMIT {}", D::parameter(arguments.len() + 1)));
            D::add_integer(&mut arguments, i64::from(limit)).map_err(sqlx::Error::Encode)?;
        }
        Ok((sql.into(), arguments))
    }
}

impl<E: Table<D>, D: Tables> fmt::Debug for Select<'_, E, D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Select")
            .field("table", &E::NAME)
            .field("condition", &self.condition)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
