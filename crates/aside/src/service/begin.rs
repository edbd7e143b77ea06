//! Transactions of callers.

use super::CacheService;
use crate::write::transaction::{BeginTransaction, CachedTransaction, DatabaseTransaction};

impl CacheService {
    /// Begins a transaction. Changes that are recorded in it are invalidated
    /// around its commit.
    ///
    /// `database` is, for example, the journal of `aside-sqlx`. Another driver
    /// needs about thirty lines: see [`transaction`](crate::transaction).
    ///
    /// # Errors
    /// The database's.
    pub async fn begin<D: BeginTransaction>(
        &self,
        database: &D,
    ) -> Result<CachedTransaction<D::Transaction>, <D::Transaction as DatabaseTransaction>::Error>
    {
        let write = self.write();
        let transaction = database.begin(&write).await?;
        Ok(CachedTransaction::new(transaction, write))
    }
}
