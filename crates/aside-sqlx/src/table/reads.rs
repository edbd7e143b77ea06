//! Reads of a table.

use std::collections::HashMap;
use std::sync::Arc;

use aside::repository::Overloaded;
use aside::{Rows, Source};

use super::error::TableError;
use super::sql_table::{SqlTable, bound};
use super::statements::Statements;
use super::{Table, Tables};

/// Ids of one statement. SQLite refuses an expression of more than 1,000 terms, and an id
/// may have several columns.
const MAX_IDS_PER_STATEMENT: usize = 256;

/// Lists of one statement. SQLite refuses more than 500 parts of a UNION.
const MAX_LISTS_PER_STATEMENT: usize = 64;

impl<E: Table<D>, D: Tables> Source for SqlTable<E, D> {
    type Entity = E;
    type Error = TableError;

    async fn find_by_id(&self, id: &E::Id) -> Result<Option<Arc<E>>, TableError> {
        let arguments = bound::<D>(|arguments| E::add_id(id, arguments))?;
        let sql = Arc::clone(&self.statements.by_id);
        let rows = D::fetch_from(&self.pool, sql, arguments).await?;
        Ok(rows.first().map(E::from_row).transpose()?.map(Arc::new))
    }

    async fn find_many(&self, ids: &[E::Id]) -> Result<Vec<Option<Arc<E>>>, TableError> {
        let mut found: Vec<E> = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_IDS_PER_STATEMENT) {
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
            let rows = D::fetch_from(&self.pool, self.statements.by_ids(count), arguments).await?;
            for row in &rows {
                found.push(E::from_row(row)?);
            }
        }
        Ok(aside::in_order(ids, found))
    }

    async fn find_by(&self, index: &E::Index) -> Result<Rows<E>, TableError> {
        let arguments = bound::<D>(|arguments| E::add_index(index, arguments))?;
        let sql = self.statements.list(E::index_columns(index));
        self.all(sql, arguments).await
    }

    async fn find_by_many(&self, indexes: &[E::Index]) -> Result<Vec<Rows<E>>, TableError> {
        let mut by_columns: HashMap<&[&str], Vec<usize>> = HashMap::new();
        for (place, index) in indexes.iter().enumerate() {
            let places = by_columns.entry(E::index_columns(index)).or_default();
            places.push(place);
        }
        let mut lists: Vec<Vec<Arc<E>>> = vec![Vec::new(); indexes.len()];
        for (columns, places) in by_columns {
            for places in places.chunks(MAX_LISTS_PER_STATEMENT) {
                let arguments = bound::<D>(|arguments| {
                    for place in places {
                        E::add_index(&indexes[*place], arguments)?;
                    }
                    Ok(())
                })?;
                let sql = Statements::<E, D>::lists(columns, places.len());
                for row in D::fetch_from(&self.pool, sql, arguments).await? {
                    let list = D::list_of(&row)?;
                    lists[places[list]].push(Arc::new(E::from_row(&row)?));
                }
            }
        }
        Ok(lists.into_iter().map(Into::into).collect())
    }

    async fn list_all(&self) -> Result<Rows<E>, TableError> {
        self.all(self.statements.all(), D::Arguments::default())
            .await
    }

    fn overloaded(&self, why: Overloaded) -> TableError {
        why.into()
    }
}

impl<E: Table<D>, D: Tables> SqlTable<E, D> {
    async fn all(&self, sql: Arc<str>, arguments: D::Arguments) -> Result<Rows<E>, TableError> {
        let rows = D::fetch_from(&self.pool, sql, arguments).await?;
        let rows: Result<Vec<Arc<E>>, sqlx::Error> = rows
            .iter()
            .map(|row| E::from_row(row).map(Arc::new))
            .collect();
        Ok(rows?.into())
    }
}
