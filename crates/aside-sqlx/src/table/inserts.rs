//! Inserts of rows whose id the database generates.

use std::future::Future;
use std::sync::Arc;

use aside::CachedRepository;

use super::error::TableError;
use super::sql_table::SqlTable;
use super::{Table, Tables};

/// Adds [`insert`](Self::insert) to the cached repository of a [`SqlTable`].
pub trait Inserts {
    /// The rows.
    type Entity;

    /// A row without the values that the database sets.
    type New;

    /// Inserts a row in one transaction, and returns it as stored.
    ///
    /// # Errors
    /// The database's, or [`TableError::Refused`].
    ///
    /// # Cancellation
    /// The write is a task, and goes on to its end if the future is dropped.
    fn insert(
        &self,
        new: Self::New,
    ) -> impl Future<Output = Result<Arc<Self::Entity>, TableError>> + Send;
}

impl<E: Table<D>, D: Tables> Inserts for CachedRepository<SqlTable<E, D>> {
    type Entity = E;
    type New = E::New;

    fn insert(&self, new: E::New) -> impl Future<Output = Result<Arc<E>, TableError>> + Send {
        self.write_with(|source, write| Box::pin(source.insert_in(new, write)))
    }
}
