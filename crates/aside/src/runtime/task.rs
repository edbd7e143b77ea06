//! Starting a task of this process.
//!
//! The one place where that is done, because a simulated world has several
//! processes in one, and stops and kills them.

use std::panic::resume_unwind;

use tokio::task::JoinHandle;

#[cfg(test)]
use crate::runtime::simulated::spawn as spawn_pinned;
#[cfg(not(test))]
use tokio::spawn as spawn_pinned;

/// Starts a task.
///
/// What runs a transaction of somebody's is a future of kilobytes, and tokio
/// moves one as often as five times, to be copied each time. A pointer is not.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    spawn_pinned(Box::pin(future))
}

/// Does some work as a task of its own, so that a caller who goes away does not
/// take it along; what panics there panics here.
pub(crate) async fn outlive<F>(work: F) -> F::Output
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    match spawn(work).await {
        Ok(done) => done,
        Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
        // The runtime is shutting down, and this future with it.
        Err(_) => std::future::pending().await,
    }
}
