//! A database in memory: tables with row locks and transactions. It counts its
//! queries, and can be stopped, or made to fail, at named places.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aside::{
    Entity, Repository, Rows, Source, Write,
    repository::{Id, Index, Row},
};
use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, oneshot};

/// A row whose version the database sets, if it has one.
pub(crate) trait Versioned: Entity<Id: Ord> + PartialEq + std::fmt::Debug {
    fn set_version(&mut self, _version: u64) {}
}

/// The reason for an error of the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error("the query failed")]
    Failed,
    #[error("the connection was lost")]
    ConnectionLost,
    #[error("there is such a row already")]
    Duplicate,
    #[error("too many are waiting")]
    Overloaded,
}

/// A place at which a query can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A read has arrived and has not seen the rows yet.
    BeforeRead,
    /// A read has seen the rows and has not returned.
    AfterRead,
    /// A write holds its row's lock and has recorded nothing yet.
    Locked,
    /// The quarantine is acknowledged, the commit not sent.
    BeforeCommit,
    /// The commit has happened and the lock is released, and the repository has
    /// not returned.
    AfterCommit,
}

/// The failure of the next query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ReadFails,
    ReadPanics,
    /// An error before the first call of the cache.
    FailsEarly,
    /// The commit is refused, and the repository knows that for certain.
    RollsBack,
    /// The same, but returned as if the row did not exist.
    RollsBackAndAnswersNone,
    /// Rolled back once, and after that the row no longer exists.
    TriesAgainAndFindsNothing,
    /// The commit happened, and its reply is lost.
    ConnectionLostAfterCommit,
    /// The commit did not happen, and no reply arrives.
    ConnectionLostBeforeCommit,
    /// The repository does not call `before_commit`.
    ForgetsToQuarantine,
    PanicsBeforeCommit,
    PanicsAfterCommit,
}

impl Fault {
    fn is_of_reads(self) -> bool {
        matches!(self, Self::ReadFails | Self::ReadPanics)
    }
}

/// How often each query was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queries {
    pub(crate) by_id: u32,
    pub(crate) many: u32,
    pub(crate) by_index: u32,
    pub(crate) many_lists: u32,
    pub(crate) all: u32,
}

impl Queries {
    pub(crate) const NONE: Self = Self {
        by_id: 0,
        many: 0,
        by_index: 0,
        many_lists: 0,
        all: 0,
    };

    pub(crate) fn total(self) -> u32 {
        self.by_id + self.many + self.by_index + self.many_lists + self.all
    }
}

/// One table. Clones are the same table, like two connections to it.
pub(crate) struct Table<E: Versioned>(Arc<Inner<E>>);

struct Inner<E: Versioned> {
    rows: Mutex<BTreeMap<E::Id, Arc<E>>>,
    locks: Mutex<HashMap<E::Id, Arc<tokio::sync::Mutex<()>>>>,
    queries: Mutex<Queries>,
    stops: Mutex<HashMap<Place, VecDeque<Stop>>>,
    faults: Mutex<VecDeque<Fault>>,
    unquarantined: AtomicU32,
}

struct Stop {
    reached: oneshot::Sender<()>,
    go_on: oneshot::Receiver<()>,
}

/// A query that is stopped at a place, or will be.
pub(crate) struct Stopped {
    reached: oneshot::Receiver<()>,
    go_on: oneshot::Sender<()>,
}

impl Stopped {
    /// Waits until the query has reached the place.
    pub(crate) async fn reached(&mut self) {
        (&mut self.reached)
            .await
            .expect("the query reaches the place");
    }

    pub(crate) fn go_on(self) {
        // A query that was dropped in the meantime does not continue.
        let _ = self.go_on.send(());
    }
}

impl<E: Versioned> Clone for Table<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Versioned> Table<E> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            rows: Mutex::default(),
            locks: Mutex::default(),
            queries: Mutex::default(),
            stops: Mutex::default(),
            faults: Mutex::default(),
            unquarantined: AtomicU32::new(0),
        }))
    }

    /// Stores a row without invalidating a cache.
    pub(crate) fn insert(&self, row: &E) {
        let row = Arc::new(row.clone());
        self.0.rows.lock().insert(row.id().clone(), row);
    }

    /// Returns the committed row.
    pub(crate) fn row(&self, id: &E::Id) -> Option<Arc<E>> {
        self.0.rows.lock().get(id).cloned()
    }

    /// Returns the committed rows.
    pub(crate) fn rows(&self) -> Vec<Arc<E>> {
        self.0.rows.lock().values().cloned().collect()
    }

    /// Returns the committed rows of a list.
    pub(crate) fn rows_of(&self, index: &E::Index) -> Vec<Arc<E>> {
        let stands = |row: &&Arc<E>| {
            let mut stands = false;
            row.indexes(&mut |own| stands |= own == *index);
            stands
        };
        self.0
            .rows
            .lock()
            .values()
            .filter(stands)
            .cloned()
            .collect()
    }

    /// Returns the queries since the last call.
    pub(crate) fn queries(&self) -> Queries {
        std::mem::take(&mut *self.0.queries.lock())
    }

    /// Returns how many writes had a quarantine that Redis did not acknowledge.
    /// There is no journal here to recover from that.
    pub(crate) fn unquarantined(&self) -> u32 {
        self.0.unquarantined.load(Ordering::SeqCst)
    }

    /// Stops the next query that reaches `place`; several stop in order.
    pub(crate) fn stop_at(&self, place: Place) -> Stopped {
        let (reached, was_reached) = oneshot::channel();
        let (go_on, goes_on) = oneshot::channel();
        let stop = Stop {
            reached,
            go_on: goes_on,
        };
        self.0
            .stops
            .lock()
            .entry(place)
            .or_default()
            .push_back(stop);
        Stopped {
            reached: was_reached,
            go_on,
        }
    }

    /// Makes the next read, or the next write, fail.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.0.faults.lock().push_back(fault);
    }

    fn fault(&self, of_reads: bool) -> Option<Fault> {
        let mut faults = self.0.faults.lock();
        let at = faults
            .iter()
            .position(|fault| fault.is_of_reads() == of_reads)?;
        faults.remove(at)
    }

    async fn pass(&self, place: Place) {
        let stop = self
            .0
            .stops
            .lock()
            .get_mut(&place)
            .and_then(VecDeque::pop_front);
        if let Some(stop) = stop {
            let _ = stop.reached.send(());
            let _ = stop.go_on.await;
        }
    }

    async fn read<T>(
        &self,
        count: impl FnOnce(&mut Queries),
        see: impl FnOnce(&Self) -> T,
    ) -> Result<T, DatabaseError> {
        count(&mut self.0.queries.lock());
        self.pass(Place::BeforeRead).await;
        let fault = self.fault(true);
        let seen = see(self);
        self.pass(Place::AfterRead).await;
        match fault {
            Some(Fault::ReadPanics) => panic!("the driver has a bug"),
            Some(_) => Err(DatabaseError::Failed),
            None => Ok(seen),
        }
    }

    async fn lock(&self, id: &E::Id) -> OwnedMutexGuard<()> {
        let lock = Arc::clone(self.0.locks.lock().entry(id.clone()).or_default());
        lock.lock_owned().await
    }

    /// Locks, changes, records, commits; returns `None` if `change` finds no
    /// row.
    async fn transact(
        &self,
        id: &E::Id,
        write: &mut Write,
        change: impl FnOnce(Option<&E>) -> Result<Option<Option<E>>, DatabaseError>,
    ) -> Result<Option<Option<Arc<E>>>, DatabaseError> {
        let lock = self.lock(id).await;
        self.pass(Place::Locked).await;
        let fault = self.fault(false);
        if fault == Some(Fault::FailsEarly) {
            return Err(DatabaseError::Failed);
        }
        let before = self.row(id);
        let Some(mut after) = change(before.as_deref())? else {
            return Ok(None);
        };
        if let Some(after) = &mut after {
            let version = before.as_ref().and_then(|before| before.version());
            after.set_version(version.unwrap_or(0) + 1);
        }
        match (&before, &after) {
            (Some(before), Some(after)) => write.updated(&**before, after),
            (None, Some(after)) => write.created(after),
            (Some(before), None) => write.deleted(&**before),
            (None, None) => {}
        }
        if fault != Some(Fault::ForgetsToQuarantine) && !write.before_commit().await.is_empty() {
            self.0.unquarantined.fetch_add(1, Ordering::SeqCst);
        }
        self.pass(Place::BeforeCommit).await;
        match fault {
            Some(Fault::PanicsBeforeCommit) => panic!("the repository has a bug"),
            Some(Fault::ConnectionLostBeforeCommit) => return Err(DatabaseError::ConnectionLost),
            Some(Fault::RollsBack) => {
                write.rolled_back();
                return Err(DatabaseError::Failed);
            }
            Some(Fault::RollsBackAndAnswersNone) => {
                write.rolled_back();
                return Ok(None);
            }
            Some(Fault::TriesAgainAndFindsNothing) => {
                write.rolled_back();
                let _ = write.before_commit().await;
                return Ok(None);
            }
            _ => {}
        }
        let after = after.map(Arc::new);
        match &after {
            Some(after) => self.0.rows.lock().insert(id.clone(), Arc::clone(after)),
            None => self.0.rows.lock().remove(id),
        };
        drop(lock);
        self.pass(Place::AfterCommit).await;
        match fault {
            Some(Fault::PanicsAfterCommit) => panic!("the repository has a bug"),
            Some(Fault::ConnectionLostAfterCommit) => Err(DatabaseError::ConnectionLost),
            _ => Ok(Some(after)),
        }
    }
}

impl<E: Versioned> Source for Table<E> {
    type Entity = E;
    type Error = DatabaseError;

    async fn find_by_id(&self, id: &Id<Self>) -> Result<Option<Row<Self>>, DatabaseError> {
        self.read(|queries| queries.by_id += 1, |table| table.row(id))
            .await
    }

    async fn find_many(&self, ids: &[Id<Self>]) -> Result<Vec<Option<Row<Self>>>, DatabaseError> {
        let see = |table: &Self| ids.iter().map(|id| table.row(id)).collect();
        self.read(|queries| queries.many += 1, see).await
    }

    async fn find_by(&self, index: &Index<Self>) -> Result<Rows<E>, DatabaseError> {
        let see = |table: &Self| table.rows_of(index).into();
        self.read(|queries| queries.by_index += 1, see).await
    }

    async fn find_by_many(&self, indexes: &[E::Index]) -> Result<Vec<Rows<E>>, DatabaseError> {
        let see = |table: &Self| {
            let lists = indexes.iter().map(|index| table.rows_of(index).into());
            lists.collect()
        };
        self.read(|queries| queries.many_lists += 1, see).await
    }

    async fn list_all(&self) -> Result<Rows<E>, DatabaseError> {
        self.read(|queries| queries.all += 1, |table| table.rows().into())
            .await
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> DatabaseError {
        DatabaseError::Overloaded
    }
}

impl<E: Versioned> Repository for Table<E> {
    async fn save_in(&self, row: E, write: &mut Write) -> Result<Row<Self>, DatabaseError> {
        let id = row.id().clone();
        let saved = self
            .transact(&id, write, |before| match before {
                Some(_) => Err(DatabaseError::Duplicate),
                None => Ok(Some(Some(row))),
            })
            .await?;
        saved.flatten().ok_or(DatabaseError::Failed)
    }

    async fn update_in(
        &self,
        row: E,
        write: &mut Write,
    ) -> Result<Option<Row<Self>>, DatabaseError> {
        let id = row.id().clone();
        let updated = self
            .transact(&id, write, |before| Ok(before.map(|_| Some(row))))
            .await?;
        Ok(updated.flatten())
    }

    async fn delete_in(&self, id: &Id<Self>, write: &mut Write) -> Result<bool, DatabaseError> {
        let deleted = self
            .transact(id, write, |before| Ok(before.map(|_| None)))
            .await?;
        Ok(deleted.is_some())
    }
}
