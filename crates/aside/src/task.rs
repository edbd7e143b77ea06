//! Starting a task of this process, and what becomes one if it must.
//!
//! The one place where that is done, because a simulated world has several
//! processes in one, and stops and kills them.

use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(not(test))]
pub(crate) use tokio::runtime::Handle as Spawner;
#[cfg(not(test))]
pub(crate) use tokio::spawn;

#[cfg(test)]
pub(crate) use crate::simulated::{Spawner, spawn};

/// Work that is done to its end: whoever awaits it does it, and if they drop it
/// before, it goes on as a task.
///
/// Work that is a task from the beginning is handed to another thread, and its
/// result handed back. On a machine with nothing else to do, waking two
/// threads takes as long as a round trip to Redis.
pub(crate) struct ToTheEnd<T: Send + 'static> {
    /// `None` when it is done, and while it is polled: what panics is not
    /// polled again.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    /// Drops happen where there is no runtime to ask for.
    spawner: Spawner,
}

impl<T: Send + 'static> ToTheEnd<T> {
    /// # Panics
    /// Outside of a runtime.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(work)),
            spawner: Spawner::current(),
        }
    }
}

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut work = self.work.take().expect("polled no more when it is done");
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.spawner.spawn(work);
        }
    }
}
