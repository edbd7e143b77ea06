//! Prepared statements whose plan no longer fits the table.
//!
//! PostgreSQL refuses a prepared statement that would return other types than
//! when it was prepared, as after `ALTER COLUMN ... TYPE`: SQLSTATE 0A000,
//! "cached plan must not change result type". Each connection that has
//! prepared it meets that by itself, so no connection that was opened before
//! the first such refusal is used again, and what was refused runs once more.
//! Inside a transaction that is the transaction as a whole.
//!
//! Statements that are not prepared would not be refused, and would cost each
//! statement of each write a round trip more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::failure::postgres_error;
use crate::domain::TaleError;

/// Since when the plans of a database are good.
#[derive(Debug)]
pub(super) struct Plans {
    opened: Instant,
    /// When a plan was last refused, in microseconds since `opened`.
    refused: AtomicU64,
}

impl Plans {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            refused: AtomicU64::new(0),
        }
    }

    /// Notes whether it was a plan that was refused.
    pub(super) fn note(&self, error: &TaleError) {
        if is_refused(error) {
            let now = micros(self.opened.elapsed());
            let before = self.refused.fetch_max(now, Ordering::Relaxed);
            if before < now {
                tracing::info!("a table has changed: its statements are prepared again");
            }
        }
    }

    /// Whether a connection of this age may hold plans that are refused.
    pub(super) fn outdate(&self, age: Duration) -> bool {
        let refused = self.refused.load(Ordering::Relaxed);
        let opened_at = self.opened.elapsed().saturating_sub(age);
        refused != 0 && micros(opened_at) <= refused
    }
}

/// Runs a block that ends in a `Result<_, TaleError>`, and once more if a plan
/// was refused. A macro: of a closure that lends what it holds, the compiler
/// cannot tell yet that its futures are `Send`.
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

/// Says what an attempt ends in.
pub(super) fn attempt<T>(
    attempt: impl Future<Output = Result<T, TaleError>>,
) -> impl Future<Output = Result<T, TaleError>> {
    attempt
}

/// Whether PostgreSQL refused a plan.
pub(super) fn is_refused(error: &TaleError) -> bool {
    let TaleError::Database(failure) = error else {
        return false;
    };
    let refused = failure.downcast_ref().and_then(postgres_error);
    // The state alone says that something is not supported; the message is
    // in the language of the server.
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
