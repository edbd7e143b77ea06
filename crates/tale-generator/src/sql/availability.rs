//! The availability of the database, as its callers observe it.
//!
//! Every request meets a server that is unavailable. So only the begin and the
//! end of an outage are logged. The same applies to a server that replies and
//! fails, for example on a full disk. Reads may still succeed there, so reads
//! and writes are tracked separately. There is no probe, because `/health` runs
//! often enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use aside_sqlx::TableError;

use super::failure::{is_away, tale_error};
use super::plans::Plans;
use crate::domain::{Failure, TaleError};

/// The results of the latest calls.
#[derive(Debug)]
pub(super) struct Availability {
    /// True if callers queue for connections to another machine. Then a timeout
    /// can mean that no connection could be opened. A file is always available.
    remote: bool,
    opened: Instant,
    /// The time of the latest reply, in milliseconds since `opened`.
    answered: AtomicU64,
    away: AtomicBool,
    /// True if the latest read, or the latest write, failed.
    failing: [AtomicBool; 2],
    /// The number of connections that callers use.
    held: AtomicUsize,
    plans: Arc<Plans>,
}

/// The operation that a call is part of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Read,
    Write,
}

/// A connection in use, until it is dropped.
#[derive(Debug)]
pub(super) struct Held(Arc<Availability>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Availability {
    /// Creates the state of a database that was just opened.
    pub(super) fn new(remote: bool, plans: Arc<Plans>) -> Self {
        Self {
            remote,
            opened: Instant::now(),
            answered: AtomicU64::new(0),
            away: AtomicBool::new(false),
            failing: Default::default(),
            held: AtomicUsize::new(0),
            plans,
        }
    }

    /// Records that a caller uses a connection from now on.
    pub(super) fn hold(self: &Arc<Self>) -> Held {
        self.held.fetch_add(1, Ordering::Relaxed);
        Held(self.clone())
    }

    /// Converts the outcome of a call that began at `begun` for the caller.
    /// `kind` names the rows of the call.
    pub(super) fn judge<T>(
        &self,
        begun: Instant,
        outcome: Result<T, TableError>,
        kind: &'static str,
        work: Work,
    ) -> Result<T, TaleError> {
        let error = match outcome {
            Ok(value) => {
                self.heard();
                return Ok(value);
            }
            // The pool retries to connect, and only reports a timeout. If other
            // callers use connections, or got a reply meanwhile, the database
            // is only overloaded.
            Err(TableError::Database(error))
                if matches!(*error, sqlx::Error::PoolTimedOut)
                    && self.remote
                    && self.none_since(begun) =>
            {
                TaleError::Database(Failure::shared(error))
            }
            Err(error) => tale_error(error, kind),
        };
        self.plans.note(&error);
        let cause = || std::error::Error::source(&error).map(ToString::to_string);
        if is_away(&error) {
            if !self.away.swap(true, Ordering::Relaxed) {
                tracing::error!(cause = cause(), "the database does not answer");
            }
        } else if matches!(error, TaleError::Database(_))
            && !self.failing(work).swap(true, Ordering::Relaxed)
        {
            tracing::error!(cause = cause(), ?work, "the database failed");
        }
        Err(error)
    }

    /// Records that a read, or a whole write, succeeded.
    pub(super) fn done(&self, work: Work) {
        let failing = self.failing(work);
        if failing.load(Ordering::Relaxed) && failing.swap(false, Ordering::Relaxed) {
            tracing::info!(?work, "the database works again");
        }
    }

    fn failing(&self, work: Work) -> &AtomicBool {
        let [reads, writes] = &self.failing;
        match work {
            Work::Read => reads,
            Work::Write => writes,
        }
    }

    fn heard(&self) {
        let now = millis(self.opened.elapsed());
        self.answered.fetch_max(now, Ordering::Relaxed);
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("the database answers again");
        }
    }

    /// Returns true if no caller has had a connection since then, as far as is
    /// known.
    fn none_since(&self, begun: Instant) -> bool {
        let begun = millis(begun.saturating_duration_since(self.opened));
        self.held.load(Ordering::Relaxed) == 0 && self.answered.load(Ordering::Relaxed) < begun
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    fn in_vain(availability: &Availability, begun: Instant) -> TaleError {
        let outcome: Result<(), _> = Err(sqlx::Error::PoolTimedOut.into());
        availability
            .judge(begun, outcome, "row", Work::Read)
            .unwrap_err()
    }

    #[test]
    fn a_pool_timeout_means_an_outage_only_without_connections() {
        let server = Arc::new(Availability::new(true, Arc::new(Plans::new())));
        sleep(Duration::from_millis(5));
        let begun = Instant::now();
        let held = server.hold();
        assert!(matches!(in_vain(&server, begun), TaleError::Busy));
        drop(held);
        assert!(is_away(&in_vain(&server, begun)));
        sleep(Duration::from_millis(5));
        server.judge(begun, Ok(()), "row", Work::Read).unwrap();
        assert!(matches!(in_vain(&server, begun), TaleError::Busy));

        let file = Availability::new(false, Arc::new(Plans::new()));
        sleep(Duration::from_millis(5));
        assert!(matches!(in_vain(&file, Instant::now()), TaleError::Busy));
    }
}
