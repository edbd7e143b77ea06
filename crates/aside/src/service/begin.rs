//! Transactions of callers.

use std::future::Future;
use std::panic::Location;

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
    #[track_caller]
    pub fn begin<D: BeginTransaction + Sync>(
        &self,
        database: &D,
    ) -> impl Future<Output = Begun<D::Transaction>> + Send {
        let (write, place) = (self.write(), Location::caller());
        async move {
            let transaction = database.begin(&write).await?;
            Ok(CachedTransaction::begun_at(place, transaction, write))
        }
    }
}

type Begun<T> = Result<CachedTransaction<T>, <T as DatabaseTransaction>::Error>;
