//! Starting a task.
//!
//! The only place that does so, because a simulated world runs several
//! processes in one and stops and kills them.

use std::hash::{BuildHasher as _, Hasher};
use std::panic::resume_unwind;

use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

#[cfg(test)]
use crate::runtime::simulated::spawn as spawn_pinned;
#[cfg(not(test))]
use tokio::spawn as spawn_pinned;

tokio::task_local! {
    /// The context that this future belongs to, if it has a name.
    static CONTEXT: u64;
}

/// Named contexts have this bit, and tasks do not.
const NAMED: u64 = 1 << 63;

/// Returns the number of the named context that this code runs in, or else of its task.
pub(crate) fn context() -> Option<u64> {
    let named = CONTEXT.try_with(|context| *context).ok();
    named.or_else(|| {
        let task = tokio::task::try_id()?;
        Some(Number::default().hash_one(task) & !NAMED)
    })
}

/// Runs a future in the context of this name.
pub(crate) fn in_context<F: Future>(name: u64, work: F) -> impl Future<Output = F::Output> {
    CONTEXT.scope(name | NAMED, work)
}

/// Reads the number of a task, which has no other access.
#[derive(Clone, Default)]
struct Number(u64);

impl std::hash::BuildHasher for Number {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Number {
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Starts a task.
///
/// The future is boxed: a future that runs a caller's transaction takes
/// kilobytes, and tokio copies it up to five times.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    spawn_pinned(Box::pin(future))
}

/// Starts a task that works for the caller. It carries the caller's tracing
/// span, so that a statement is recorded under the request that needed it.
pub(crate) fn spawn_for_caller<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    spawn(future.instrument(Span::current()))
}

/// Runs `work` as a separate task, so that it continues if the caller is
/// cancelled. A panic in the task panics here.
pub(crate) async fn outlive<F>(work: F) -> F::Output
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    match spawn_for_caller(work).await {
        Ok(done) => done,
        Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
        // The runtime is shutting down and will drop this future as well.
        Err(_) => std::future::pending().await,
    }
}
