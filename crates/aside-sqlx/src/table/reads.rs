//! Reads of a table.

use std::collections::HashMap;
use std::sync::Arc;

use aside::repository::Overloaded;
use aside::{Rows, Source};

use super::error::TableError;
use super::select::Select;
use super::sql_table::{SqlTable, bound};
use super::statements::Statements;
use super::{Table, Tables};

/// Ids of one statement. PostgreSQL has at most 65,535 parameters, SQLite 32,766.
const MAX_IDS_PER_STATEMENT: usize = 4_096;

/// Ids of one statement, if an id has several columns: SQLite refuses an expression of more
/// than 1,000 terms.
const MAX_IDS_OF_SEVERAL_COLUMNS: usize = 256;

/// Lists of one statement. SQLite refuses more than 500 parts of a UNION.
const MAX_LISTS_PER_STATEMENT: usize = 64;

impl<E: Table<D>, D: Tables> Source for SqlTable<E, D> {
    type Entity = E;
    type Error = TableError;

    async fn find_by_id(&self, id: &E::Id) -> Result<Option<Arc<E>>, TableError> {
        let mut connection = self.pool.acquire().await?;
        let row = self.find_by_id_in(&mut connection, id).await?;
        Ok(row.map(Arc::new))
    }

    async fn find_many(&self, ids: &[E::Id]) -> Result<Vec<Option<Arc<E>>>, TableError> {
        let mut connection = self.pool.acquire().await?;
        self.find_many_in(&mut connection, ids).await
    }

    async fn find_by(&self, index: &E::Index) -> Result<Rows<E>, TableError> {
        self.all(self.select().list(index)).await
    }

    async fn find_by_many(&self, indexes: &[E::Index]) -> Result<Vec<Rows<E>>, TableError> {
        let mut by_columns: HashMap<&[&str], Vec<usize>> = HashMap::new();
        for (place, index) in indexes.iter().enumerate() {
            let places = by_columns.entry(E::index_columns(index)).or_default();
            places.push(place);
        }
        let mut lists: Vec<Vec<Arc<E>>> = vec![Vec::new(); indexes.len()];
        let mut connection = self.pool.acquire().await?;
        for (columns, places) in by_columns {
            for places in places.chunks(MAX_LISTS_PER_STATEMENT) {
                let arguments = bound::<D>(|arguments| {
                    for place in places {
                        E::add_index(&indexes[*place], arguments)?;
                    }
                    Ok(())
                })?;
                let sql = Statements::<E, D>::lists(columns, places.len());
                for row in D::fetch_in(&mut connection, sql, arguments).await? {
                    let list = D::list_of(&row)?;
                    lists[places[list]].push(Arc::new(E::from_row(&row)?));
                }
            }
        }
        Ok(lists.into_iter().map(Into::into).collect())
    }

    async fn list_all(&self) -> Result<Rows<E>, TableError> {
        self.all(self.select()).await
    }

    fn overloaded(&self, why: Overloaded) -> TableError {
        why.into()
    }
}

impl<E: Table<D>, D: Tables> SqlTable<E, D> {
    /// Returns the rows with these ids as a transaction sees them, in the order of the ids.
    /// The cache is neither asked nor filled.
    ///
    /// # Errors
    /// The database's.
    pub async fn find_many_in(
        &self,
        connection: &mut D::Connection,
        ids: &[E::Id],
    ) -> Result<Vec<Option<Arc<E>>>, TableError> {
        let columns = E::COLUMNS.iter().filter(|column| column.is_id).count();
        let most = match columns {
            1 => MAX_IDS_PER_STATEMENT,
            _ => MAX_IDS_OF_SEVERAL_COLUMNS,
        };
        let mut found: Vec<E> = Vec::with_capacity(ids.len());
        for ids in ids.chunks(most) {
            // The last id is repeated, so that there are few texts of statements to
            // prepare.
            let count = ids.len().next_power_of_two();
            let padded = (0..count).map(|place| &ids[place.min(ids.len() - 1)]);
            let arguments = bound::<D>(|arguments| {
                for id in padded {
                    E::add_id(id, arguments)?;
                }
                Ok(())
            })?;
            let sql = self.statements.by_ids(count);
            for row in &D::fetch_in(connection, sql, arguments).await? {
                found.push(E::from_row(row)?);
            }
        }
        Ok(aside::in_order(ids, found))
    }

    async fn all(&self, select: Select<'_, E, D>) -> Result<Rows<E>, TableError> {
        let mut connection = self.pool.acquire().await?;
        let rows = select.fetch_in(&mut connection).await?;
        Ok(rows.into_iter().map(Arc::new).collect())
    }
}
