//! The origin guard: how many loads may run at once while Redis is away, and how
//! many for callers that have all gone away (a bulkhead).
//!
//! A repository's load may read from another cached repository. That read takes
//! over the place of the load around it, and several at once share it. If it had
//! to wait for one of the same places, as many loads as there are places would
//! wait for each other until all of them are turned away.
//!
//! The place goes with the task. A read in a task that the repository starts by
//! itself (`tokio::spawn`) waits for a place like any other.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// How long a load may wait for its place while Redis is away.
const PATIENCE: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// The place of the load that this task runs.
    static PLACE: Option<Arc<Place>>;
}

/// The places of one service.
#[derive(Debug)]
pub(crate) struct OriginGuard {
    places: Arc<Semaphore>,
    /// Places of loads that no caller waits for.
    unattended: Semaphore,
}

/// A place, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Semaphore>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    /// The place of another service, whose load this one runs in.
    outer: Option<Arc<Self>>,
}

impl Place {
    /// Lets another load have it, though this one goes on: it takes so long that
    /// the database hardly works on it.
    pub(crate) fn leave(&self) {
        *self.permit.lock() = None;
    }
}

impl OriginGuard {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            unattended: Semaphore::new(places),
        }
    }

    /// Returns true if this task runs a load that has a place here.
    pub(crate) fn has_place(&self) -> bool {
        let current = current();
        let mut place = current.as_ref();
        while let Some(held) = place {
            if Arc::ptr_eq(&held.places, &self.places) {
                return true;
            }
            place = held.outer.as_ref();
        }
        false
    }

    /// Waits for a place, unless this task has one already; `None` if there was
    /// none in time. The load is to run [`within`] it.
    pub(crate) async fn place(&self) -> Option<Arc<Place>> {
        let outer = current();
        if self.has_place() {
            return outer;
        }
        let permit = Arc::clone(&self.places).acquire_owned();
        let permit = tokio::time::timeout(PATIENCE, permit).await.ok()?.ok()?;
        Some(Arc::new(Place {
            places: Arc::clone(&self.places),
            permit: Mutex::new(Some(permit)),
            outer,
        }))
    }

    /// Runs a load to its end if callers wait for it, or if there is a place for
    /// one without callers when `deserted` ends. `None` if there is not: the load
    /// is then to be dropped.
    ///
    /// Callers that give up and come back again and again would otherwise keep as
    /// many loads running as they make within the load's limit.
    pub(crate) async fn attend<T>(
        &self,
        load: impl Future<Output = T>,
        deserted: impl Future<Output = ()>,
    ) -> Option<T> {
        let mut load = std::pin::pin!(load);
        tokio::select! {
            biased;
            loaded = &mut load => return Some(loaded),
            () = deserted => {}
        }
        let _place: SemaphorePermit<'_> = self.unattended.try_acquire().ok()?;
        Some(load.await)
    }
}

/// The place of the load that this task runs, for another task that goes on with
/// it.
pub(crate) fn current() -> Option<Arc<Place>> {
    PLACE.try_with(Clone::clone).ok().flatten()
}

/// Does some work in `place`.
pub(crate) fn within<F: Future>(
    place: Option<Arc<Place>>,
    work: F,
) -> impl Future<Output = F::Output> {
    PLACE.scope(place, work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_load_within_a_load_takes_over_its_place() {
        let guard = OriginGuard::new(1);
        let place = guard.place().await;
        assert!(place.is_some());
        within(place, async {
            assert!(guard.has_place());
            assert!(guard.place().await.is_some());
        })
        .await;
        assert!(!guard.has_place());
        assert!(guard.place().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_of_another_service_does_not_count() {
        let (one, other) = (OriginGuard::new(1), OriginGuard::new(1));
        let place = one.place().await;
        within(place, async {
            assert!(!other.has_place());
            let inner = other.place().await;
            within(inner, async {
                assert!(one.has_place() && other.has_place());
            })
            .await;
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn loads_without_callers_are_bounded() {
        let guard = OriginGuard::new(1);
        let load = || tokio::time::sleep(Duration::from_secs(1));
        let (one, other) = tokio::join!(
            guard.attend(load(), async {}),
            guard.attend(load(), async {})
        );
        assert_eq!((one, other), (Some(()), None));
    }
}
