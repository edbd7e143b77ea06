//! Whether the database answers, as those who asked it found out.
//!
//! A server that went away is met by every request, so it is logged when that
//! begins and when it ends, and not in between. So is one that answers and
//! fails, as where its disk is full; there reads may go on, so they and writes
//! are told apart. There is no probe: `/health` asks often enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use super::failure::{is_away, tale_error};
use super::plans::Plans;
use crate::domain::{Failure, TaleError};

/// What the last questions came to.
#[derive(Debug)]
pub(super) struct Availability {
    /// Whether callers queue for connections to another machine, where a wait
    /// in vain can mean that none could be opened. A file is always there.
    remote: bool,
    opened: Instant,
    /// When the last answer came, in milliseconds since `opened`.
    answered: AtomicU64,
    away: AtomicBool,
    /// Whether the last read, or the last write, failed.
    failing: [AtomicBool; 2],
    /// Connections that callers have in hand.
    held: AtomicUsize,
    plans: Arc<Plans>,
}

/// What a question is part of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Read,
    Write,
}

/// A connection in hand, until it is dropped.
#[derive(Debug)]
pub(super) struct Held(Arc<Availability>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Availability {
    /// Of a database that was opened just now.
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

    /// Says that a caller has a connection from here on.
    pub(super) fn hold(self: &Arc<Self>) -> Held {
        self.held.fetch_add(1, Ordering::Relaxed);
        Held(self.clone())
    }

    /// What the outcome of a question that was put at `begun` means to the
    /// caller; `kind` names the rows it was about.
    pub(super) fn judge<T>(
        &self,
        begun: Instant,
        outcome: Result<T, sqlx::Error>,
        kind: &'static str,
        work: Work,
    ) -> Result<T, TaleError> {
        let error = match outcome {
            Ok(value) => {
                self.heard();
                return Ok(value);
            }
            // The pool goes on trying to connect and says no more than that
            // it took too long. Where others have connections, or were
            // answered meanwhile, there are only too many callers.
            Err(error @ sqlx::Error::PoolTimedOut) if self.remote && self.none_since(begun) => {
                TaleError::Database(Failure::new(error))
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

    /// Says that a read, or a write as a whole, was done.
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

    /// Whether nobody has had a connection since then, as far as is known.
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
        let outcome: Result<(), _> = Err(sqlx::Error::PoolTimedOut);
        availability
            .judge(begun, outcome, "row", Work::Read)
            .unwrap_err()
    }

    #[test]
    fn a_wait_in_vain_is_the_servers_absence_only_if_nobody_had_a_connection() {
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
