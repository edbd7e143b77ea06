//! The limits of one database: how long a call may take, and how many run at once.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aside_sqlx::TableError;
use tokio::time::{sleep, timeout};

use super::availability::{Availability, Work};
use super::open::{CommitStep, DatabaseOptions};
use super::places::Places;
use super::plans::Plans;
use crate::domain::TaleError;

/// The limits, and what its callers observe of the database.
#[derive(Debug)]
pub(super) struct Limits {
    longest_transaction: Duration,
    pub(super) availability: Arc<Availability>,
    pub(super) places: Places,
    read_delay: Duration,
    pub(super) at_commit: Option<fn(CommitStep)>,
    pub(super) reads: AtomicU64,
}

impl Limits {
    /// Creates the limits of a database that was just opened. `is_remote` is
    /// true for a server, and false for a file.
    pub(super) fn new(options: &DatabaseOptions, is_remote: bool, plans: Arc<Plans>) -> Self {
        Self {
            longest_transaction: options.longest_transaction,
            availability: Arc::new(Availability::new(is_remote, plans)),
            places: Places::new(options.max_connections, options.acquire_timeout),
            read_delay: options.read_delay,
            at_commit: options.at_commit,
            reads: AtomicU64::new(0),
        }
    }

    /// Counts a read, and delays it as the options say.
    pub(super) async fn begin_read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if !self.read_delay.is_zero() {
            sleep(self.read_delay).await;
        }
    }

    /// Waits for a read of rows of this kind.
    pub(super) async fn read<T>(
        &self,
        kind: &'static str,
        asked: impl Future<Output = Result<T, TableError>>,
    ) -> Result<T, TaleError> {
        let read = self.ask(kind, Work::Read, asked).await;
        read.inspect(|_| self.availability.done(Work::Read))
    }

    /// Waits for one step of a write.
    pub(super) async fn write<T>(
        &self,
        kind: &'static str,
        asked: impl Future<Output = Result<T, TableError>>,
    ) -> Result<T, TaleError> {
        self.ask(kind, Work::Write, asked).await
    }

    /// A silent peer causes no error, so only this timeout ends the wait.
    pub(super) async fn ask<T>(
        &self,
        kind: &'static str,
        work: Work,
        asked: impl Future<Output = Result<T, TableError>>,
    ) -> Result<T, TaleError> {
        let begun = Instant::now();
        let outcome = timeout(self.longest_transaction, asked)
            .await
            .map_err(|_| TaleError::Busy)?;
        self.availability.judge(begun, outcome, kind, work)
    }
}
