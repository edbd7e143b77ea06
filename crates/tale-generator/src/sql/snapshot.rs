//! All rows as of one moment, read in pages.

use uuid::Uuid;

use super::database::Database;
use super::statement::Value;
use super::table::Table;
use super::transaction::Transaction;
use crate::domain::{Child, Hero, Record, Story, TaleError};

/// A transaction that reads all rows as of its beginning.
pub(crate) struct Snapshot(Transaction);

impl Snapshot {
    /// Begins the transaction.
    pub(crate) async fn begin(database: &Database) -> Result<Self, TaleError> {
        database.begin_snapshot().await.map(Self)
    }

    /// Returns the next heroes after the id `after`, by id.
    pub(crate) async fn heroes(&mut self, after: Uuid) -> Result<Vec<Record>, TaleError> {
        let rows: Vec<Hero> = self.page(after).await?;
        Ok(rows.into_iter().map(Record::Hero).collect())
    }

    /// Returns the next children after the id `after`, by id.
    pub(crate) async fn children(&mut self, after: Uuid) -> Result<Vec<Record>, TaleError> {
        let rows: Vec<Child> = self.page(after).await?;
        Ok(rows.into_iter().map(Record::Child).collect())
    }

    /// Returns the next stories after the id `after`, by id.
    pub(crate) async fn stories(&mut self, after: Uuid) -> Result<Vec<Record>, TaleError> {
        let rows: Vec<Story> = self.page(after).await?;
        let records = rows.into_iter().map(|row| Record::Story(Box::new(row)));
        Ok(records.collect())
    }

    async fn page<T: Table>(&mut self, after: Uuid) -> Result<Vec<T>, TaleError> {
        self.0
            .fetch(T::STATEMENTS.page, vec![Value::id(after)], T::KIND)
            .await
    }
}
