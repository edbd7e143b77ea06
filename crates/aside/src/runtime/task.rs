//! Starting a task.
//!
//! The only place that does so, because a simulated world runs several
//! processes in one and stops and kills them.

use std::panic::resume_unwind;

use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

#[cfg(test)]
use crate::runtime::simulated::spawn as spawn_pinned;
#[cfg(not(test))]
use tokio::spawn as spawn_pinned;

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
