//! A table with the statements that read and write it.

use std::fmt;
use std::sync::Arc;

use sqlx::Pool;
use sqlx::error::BoxDynError;

use super::error::TableError;
use super::statements::Statements;
use super::{Table, Tables};
use crate::OutOfReach;

/// The table of an entity, as the repository that a
/// [`CachedRepository`](aside::CachedRepository) wraps.
///
/// [`#[derive(Table)]`](macro@crate::Table) describes it. Reads are one statement each. A
/// write is one transaction: it locks and reads the row, changes it, records the change,
/// invalidates the keys, and commits.
pub struct SqlTable<E, D: Tables> {
    pub(super) pool: Pool<D>,
    pub(super) has_journal: bool,
    pub(super) policy: OutOfReach,
    pub(super) statements: Arc<Statements<E, D>>,
}

impl<E: Table<D>, D: Tables> SqlTable<E, D> {
    /// Reads and writes over this pool, without a journal: other instances hear of a
    /// write that could not reach Redis when its writer reaches it again.
    #[must_use]
    pub fn new(pool: &Pool<D>) -> Self {
        Self {
            pool: pool.clone(),
            has_journal: false,
            policy: OutOfReach::Forget,
            statements: Arc::new(Statements::new()),
        }
    }

    /// Reads and writes over the journal's pool. Keys that Redis did not acknowledge are
    /// inserted into the journal.
    #[must_use]
    pub fn with_journal(mut self, journal: &D::Journal) -> Self {
        self.pool = D::pool_of(journal).clone();
        self.has_journal = true;
        self.policy = OutOfReach::Journal;
        self
    }

    /// Sets the policy for keys that Redis does not acknowledge. It has no effect without
    /// a journal.
    #[must_use]
    pub fn out_of_reach(mut self, policy: OutOfReach) -> Self {
        self.policy = policy;
        self
    }

    /// Returns the row with this id as a transaction sees it, with its own changes. The
    /// cache is neither asked nor filled.
    ///
    /// ```ignore
    /// let article = articles.source().find_by_id_in(&mut transaction, &id).await?;
    /// ```
    ///
    /// # Errors
    /// The database's.
    pub async fn find_by_id_in(
        &self,
        connection: &mut D::Connection,
        id: &E::Id,
    ) -> Result<Option<E>, TableError> {
        self.one_in(connection, &self.statements.by_id, |arguments| {
            E::add_id(id, arguments)
        })
        .await
    }

    /// Does the same, and locks the row until the transaction ends: for the row before a
    /// change.
    ///
    /// # Errors
    /// The database's.
    pub async fn lock_in(
        &self,
        connection: &mut D::Connection,
        id: &E::Id,
    ) -> Result<Option<E>, TableError> {
        self.one_in(connection, &self.statements.lock, |arguments| {
            E::add_id(id, arguments)
        })
        .await
    }

    /// Does the same with a lock that other transactions can share: none of them can change
    /// the row until this one ends. It is for the row that a new row refers to.
    ///
    /// # Errors
    /// The database's.
    pub async fn share_in(
        &self,
        connection: &mut D::Connection,
        id: &E::Id,
    ) -> Result<Option<E>, TableError> {
        self.one_in(connection, &self.statements.share, |arguments| {
            E::add_id(id, arguments)
        })
        .await
    }

    /// Runs a statement for one row.
    pub(super) async fn one_in(
        &self,
        connection: &mut D::Connection,
        sql: &Arc<str>,
        bind: impl FnOnce(&mut D::Arguments) -> Result<(), BoxDynError>,
    ) -> Result<Option<E>, TableError> {
        let arguments = bound::<D>(bind)?;
        let rows = D::fetch_in(connection, Arc::clone(sql), arguments).await?;
        Ok(rows.first().map(E::from_row).transpose()?)
    }
}

/// Returns the arguments that `bind` adds.
pub(super) fn bound<D: Tables>(
    bind: impl FnOnce(&mut D::Arguments) -> Result<(), BoxDynError>,
) -> Result<D::Arguments, sqlx::Error> {
    let mut arguments = D::Arguments::default();
    bind(&mut arguments).map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

impl<E, D: Tables> Clone for SqlTable<E, D> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            has_journal: self.has_journal,
            policy: self.policy,
            statements: Arc::clone(&self.statements),
        }
    }
}

impl<E: Table<D>, D: Tables> fmt::Debug for SqlTable<E, D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqlTable")
            .field("table", &E::NAME)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
