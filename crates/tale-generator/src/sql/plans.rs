//! Prepared statements whose plan no longer fits the table.
//!
//! PostgreSQL refuses a prepared statement whose result types have changed
//! since, for example after `ALTER COLUMN ... TYPE`. It reports SQLSTATE 0A000,
//! "cached plan must not change result type". Every connection with such a
//! statement meets the refusal separately. So connections that were opened
//! before the latest refusal are not used again, and the refused statement runs
//! once more. Inside a transaction, the whole transaction runs once more.
//!
//! Unprepared statements would avoid the refusal, but cost one more round trip
//! for each statement of each write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::failure::postgres_error;
use crate::domain::TaleError;

/// The time since which the plans of a database are valid.
#[derive(Debug)]
pub(super) struct Plans {
    opened: Instant,
    /// The time of the latest refusal, in microseconds since `opened`.
    refused: AtomicU64,
}

impl Plans {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            refused: AtomicU64::new(0),
        }
    }

    /// Records the time if the error is a refused plan.
    pub(super) fn note(&self, error: &TaleError) {
        if is_refused(error) {
            let now = micros(self.opened.elapsed());
            let before = self.refused.fetch_max(now, Ordering::Relaxed);
            if before < now {
                tracing::info!("a table has changed; its statements are prepared again");
            }
        }
    }

    /// Returns true if a connection of this age may hold plans that are
    /// refused.
    pub(super) fn outdate(&self, age: Duration) -> bool {
        let refused = self.refused.load(Ordering::Relaxed);
        let opened_at = self.opened.elapsed().saturating_sub(age);
        refused != 0 && micros(opened_at) <= refused
    }
}

/// Runs a block that ends in a `Result<_, TaleError>`, and once more if a plan
/// was refused. It is a macro because the compiler cannot yet prove `Send` for
/// the futures of a closure that lends its captures.
macro_rules! once_more {
    ($attempt:block) => {{
        let mut again = false;
        loop {
            match $crate::sql::plans::attempt(async $attempt).await {
                Err(error) if !again && $crate::sql::plans::is_refused(&error) => again = true,
                done => break done,
            }
        }
    }};
}

/// Fixes the result type of an attempt.
pub(super) fn attempt<T>(
    attempt: impl Future<Output = Result<T, TaleError>>,
) -> impl Future<Output = Result<T, TaleError>> {
    attempt
}

/// Returns true if PostgreSQL refused a plan.
pub(super) fn is_refused(error: &TaleError) -> bool {
    let TaleError::Database(failure) = error else {
        return false;
    };
    let refused = failure.downcast_ref().and_then(postgres_error);
    // The SQLSTATE only says that something is not supported, and the message
    // is in the server's language. So the routine decides.
    refused.is_some_and(|error| {
        error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery")
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_older_than_a_refusal_are_outdated() {
        let plans = Plans::new();
        assert!(!plans.outdate(Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(2));
        plans.refused.store(1_000, Ordering::Relaxed);
        assert!(plans.outdate(Duration::from_secs(60)));
        assert!(!plans.outdate(Duration::ZERO));
    }
}
