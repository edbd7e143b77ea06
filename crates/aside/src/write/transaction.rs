//! A transaction that records its changes, and invalidates them around its
//! commit.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::Location;

use parking_lot::Mutex;

use super::failure::{CommitError, FailedCommit, OutOfReach};
use super::{Unacknowledged, Write};
use crate::entity::Entity;
use crate::runtime::task;

/// An open transaction of a database. If it is dropped, it rolls back.
pub trait DatabaseTransaction: Send {
    /// The error of a statement.
    type Error: Send + 'static;

    /// Inserts rows into the journal, and returns their ids. It is called only
    /// if there are rows to insert.
    fn insert(
        &mut self,
        entries: &[String],
    ) -> impl Future<Output = Result<Vec<i64>, Self::Error>> + Send;

    /// Commits.
    fn commit(self) -> impl Future<Output = Result<(), FailedCommit<Self::Error>>> + Send;

    /// Rolls back. `Ok` must mean that nothing changed.
    fn rollback(self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A database, as it begins transactions.
pub trait BeginTransaction {
    /// Its transaction.
    type Transaction: DatabaseTransaction + 'static;

    /// Begins a transaction. Mark it, so that triggers skip its changes, unless
    /// `write` [is uncached](Write::is_uncached).
    fn begin(
        &self,
        write: &Write,
    ) -> impl Future<
        Output = Result<Self::Transaction, <Self::Transaction as DatabaseTransaction>::Error>,
    > + Send;
}

/// A database transaction with the [`Write`] that invalidates its changes.
///
/// [`CacheService::begin`](crate::CacheService::begin) begins one. It is the
/// driver's transaction by `Deref`, so statements run on `&mut *transaction`.
/// Record each change, and [`commit`](Self::commit).
///
/// A read that must see the transaction's own changes is a query on it: a
/// repository reads the last committed row.
///
/// Dropped before `commit`, it rolls back, and no key was affected.
pub struct CachedTransaction<T> {
    transaction: T,
    write: Write,
    policy: OutOfReach,
    /// The code that began it.
    place: &'static Location<'static>,
}

/// The places at which transactions without a recorded change began.
static SILENT: Mutex<BTreeSet<(&str, u32)>> = Mutex::new(BTreeSet::new());

impl<T: DatabaseTransaction + 'static> CachedTransaction<T> {
    /// Joins a transaction that was begun otherwise with a `write` of
    /// [`CacheService::write`](crate::CacheService::write).
    #[must_use]
    #[track_caller]
    pub fn new(transaction: T, write: Write) -> Self {
        Self::begun_at(Location::caller(), transaction, write)
    }

    pub(crate) fn begun_at(
        place: &'static Location<'static>,
        transaction: T,
        write: Write,
    ) -> Self {
        Self {
            transaction,
            write,
            policy: OutOfReach::default(),
            place,
        }
    }

    /// Sets the policy for keys that Redis does not acknowledge. Default: the
    /// journal.
    pub fn set_out_of_reach(&mut self, policy: OutOfReach) {
        self.policy = policy;
    }

    /// Records an inserted row; see [`Write::created`].
    pub fn created<E: Entity>(&mut self, after: &E) {
        self.write.created(after);
    }

    /// Records a changed row; see [`Write::updated`].
    pub fn updated<E: Entity>(&mut self, before: &E, after: &E) {
        self.write.updated(before, after);
    }

    /// Records a deleted row; see [`Write::deleted`].
    pub fn deleted<E: Entity>(&mut self, before: &E) {
        self.write.deleted(before);
    }

    /// Records a row that an upsert stored; see [`Write::upserted`].
    pub fn upserted<E: Entity>(&mut self, before: Option<&E>, after: &E) {
        self.write.upserted(before, after);
    }

    /// Records that any row of the kind may have changed; see
    /// [`Write::whole_kind`].
    pub fn whole_kind<E: Entity>(&mut self) {
        self.write.whole_kind::<E>();
    }

    /// Records the row with this id; see [`Write::invalidate_id`].
    pub fn invalidate_id<E: Entity>(&mut self, id: &E::Id) {
        self.write.invalidate_id::<E>(id);
    }

    /// Records the list with this index value; see [`Write::invalidate_list`].
    pub fn invalidate_list<E: Entity>(&mut self, index: &E::Index) {
        self.write.invalidate_list::<E>(index);
    }

    /// Returns the write, for functions that record changes in one.
    pub fn write(&mut self) -> &mut Write {
        &mut self.write
    }

    /// Returns the driver's transaction and the write, for functions that need
    /// both.
    pub fn parts(&mut self) -> (&mut T, &mut Write) {
        (&mut self.transaction, &mut self.write)
    }

    /// Invalidates the recorded keys, commits, and releases them.
    ///
    /// Keys that Redis does not acknowledge are inserted into the journal first.
    /// If the transaction is certainly rolled back, the keys are released at
    /// once. After any other error they are read from the database for
    /// `CACHE_QUARANTINE_TTL_MS`.
    ///
    /// A commit without a recorded change is logged once for each place that
    /// begins such transactions, because triggers skip it.
    ///
    /// # Errors
    /// [`CommitError`].
    ///
    /// # Cancellation
    /// A separate task commits. So a caller that is dropped, such as the handler
    /// of a client that disconnected, leaves no key behind.
    pub async fn commit(self) -> Result<(), CommitError<T::Error>> {
        task::outlive(self.end()).await
    }

    async fn end(self) -> Result<(), CommitError<T::Error>> {
        let Self {
            transaction,
            mut write,
            policy,
            place,
        } = self;
        if !write.has_changes() {
            warn_of_silence(place);
        }
        let ended = commit(transaction, &mut write, policy).await;
        write.ended(ended.is_ok()).await;
        ended
    }

    /// Rolls back. A dropped transaction does so, too, and reports no error.
    ///
    /// # Errors
    /// The database's.
    pub async fn rollback(self) -> Result<(), T::Error> {
        self.transaction.rollback().await
    }
}

/// Commits the transaction of a [`Repository`](crate::Repository): calls
/// [`Write::before_commit`], inserts the keys that Redis did not acknowledge into the
/// journal as `policy` says, commits, and records a certain rollback in `write`.
///
/// # Errors
/// [`CommitError`]. If the journal could not be written, the transaction is rolled
/// back.
///
/// # Cancellation
/// If dropped after the COMMIT was sent, the write is ambiguous.
pub async fn commit<T: DatabaseTransaction>(
    mut transaction: T,
    write: &mut Write,
    policy: OutOfReach,
) -> Result<(), CommitError<T::Error>> {
    let left = write.before_commit().await;
    if let Err(error) = record(&mut transaction, &left, policy).await {
        if transaction.rollback().await.is_ok() {
            write.rolled_back();
        }
        return Err(error);
    }
    transaction.commit().await.map_err(|failed| {
        if failed.is_rolled_back {
            write.rolled_back();
        }
        CommitError::Database(failed.error)
    })
}

/// Logs a transaction that may have changed cached rows and recorded none.
fn warn_of_silence(place: &'static Location<'static>) {
    if SILENT.lock().insert((place.file(), place.line())) {
        tracing::warn!(
            %place,
            "a transaction committed without a recorded change: cached rows that it changed are \
             stale until their TTL, because triggers skip it. Record them, or begin it without \
             the cache"
        );
    }
}

/// Inserts the keys that Redis did not acknowledge into the journal, as the
/// policy says.
async fn record<T: DatabaseTransaction>(
    transaction: &mut T,
    left: &Unacknowledged<'_>,
    policy: OutOfReach,
) -> Result<(), CommitError<T::Error>> {
    if !policy.is_to_record(left)? {
        return Ok(());
    }
    if !left.is_empty() {
        transaction.insert(left.keys()).await?;
    }
    let kinds: Vec<String> = left.kinds().collect();
    if !kinds.is_empty() {
        left.record_journal_ids(&transaction.insert(&kinds).await?);
    }
    Ok(())
}

impl<T: Deref> Deref for CachedTransaction<T> {
    type Target = T::Target;

    fn deref(&self) -> &T::Target {
        &self.transaction
    }
}

impl<T: DerefMut> DerefMut for CachedTransaction<T> {
    fn deref_mut(&mut self) -> &mut T::Target {
        &mut self.transaction
    }
}

impl<T> fmt::Debug for CachedTransaction<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CachedTransaction")
            .field("write", &self.write)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
