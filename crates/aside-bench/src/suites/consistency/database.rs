//! A database in memory that counts the versions of its rows.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aside_testkit::history::PendingWrite;
use parking_lot::Mutex;
use tokio::sync::MutexGuard;

/// How long a query takes after it has read the row, in microseconds. A
/// statement sees the rows at its beginning, and its result is in transit while
/// others write. That is the race.
const READING: Range<u64> = 1_000..8_000;
/// How long a transaction takes from the lock to the commit, in microseconds.
const WRITING: Range<u64> = 1_000..4_000;

/// The database. Clones share it.
#[derive(Clone)]
pub(super) struct Database(Arc<Rows>);

struct Rows {
    rows: Vec<Row>,
    delays: Mutex<fastrand::Rng>,
}

struct Row {
    lock: tokio::sync::Mutex<()>,
    version: AtomicU64,
}

impl Database {
    /// Rows `0..count`, all at version 1.
    pub(super) fn of(count: u64, seed: u64) -> Self {
        let row = |_| Row {
            lock: tokio::sync::Mutex::default(),
            version: AtomicU64::new(1),
        };
        Self(Arc::new(Rows {
            rows: (0..count).map(row).collect(),
            delays: Mutex::new(fastrand::Rng::with_seed(seed)),
        }))
    }

    /// `SELECT version`.
    pub(super) async fn read(&self, key: u64) -> u64 {
        let version = self.version(key);
        self.work(READING).await;
        version
    }

    /// Returns the current version, without a query.
    pub(super) fn version(&self, key: u64) -> u64 {
        self.row(key).version.load(Ordering::SeqCst)
    }

    /// `BEGIN` and `SELECT .. FOR UPDATE`.
    pub(super) async fn begin(&self, key: u64) -> Transaction<'_> {
        let lock = self.row(key).lock.lock().await;
        Transaction {
            database: self,
            key,
            before: self.version(key),
            lock,
        }
    }

    /// `UPDATE .. SET version = version + 1`, as a separate transaction.
    pub(super) async fn update(&self, key: u64, write: &PendingWrite) {
        let transaction = self.begin(key).await;
        write.learned(transaction.before + 1);
        transaction.commit().await;
    }

    async fn work(&self, microseconds: Range<u64>) {
        let microseconds = self.0.delays.lock().u64(microseconds);
        tokio::time::sleep(Duration::from_micros(microseconds)).await;
    }

    fn row(&self, key: u64) -> &Row {
        &self.0.rows[usize::try_from(key).expect("a row's number fits")]
    }
}

/// A transaction that raises the version of one row, which it has locked.
pub(super) struct Transaction<'a> {
    database: &'a Database,
    key: u64,
    /// The version that it raises by one.
    pub(super) before: u64,
    lock: MutexGuard<'a, ()>,
}

impl Transaction<'_> {
    pub(super) async fn commit(self) {
        let Self {
            database,
            key,
            before,
            lock: _lock,
        } = self;
        database.work(WRITING).await;
        let version = &database.row(key).version;
        version.store(before + 1, Ordering::SeqCst);
    }
}
