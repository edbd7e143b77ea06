//! The origin guard, a bulkhead: it limits concurrent loads while Redis is
//! unavailable, and loads whose callers are all gone.
//!
//! A repository's load may read from another cached repository. That read uses
//! the slot of the load around it, and several at once share it. If it needed
//! another slot, as many loads as there are slots could wait for each other
//! until all time out.
//!
//! The slot belongs to the task. A read in a task that the repository spawns
//! itself (`tokio::spawn`) waits for a slot like any other.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// How long a load may wait for a slot while Redis is unavailable.
const PATIENCE: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// The slot of the load that this task runs.
    static PLACE: Option<Arc<Place>>;
}

/// The slots of one service.
#[derive(Debug)]
pub(crate) struct OriginGuard {
    places: Arc<Semaphore>,
    /// Slots of loads without waiting callers.
    unattended: Semaphore,
}

/// A slot, occupied until dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Semaphore>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    /// The slot of another service, inside whose load this one runs.
    outer: Option<Arc<Self>>,
}

impl Place {
    /// Frees the slot although the load continues: it takes so long that the
    /// database hardly works on it.
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

    /// Returns true if every slot is taken, so that loads wait.
    pub(crate) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Returns true if this task runs a load that has a slot here.
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

    /// Waits for a slot, unless this task has one; `None` if none became free
    /// in time. Run the load [`within`] it.
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

    /// Waits for a slot of a load that no caller waits for. `None` if callers wait for
    /// slots.
    pub(crate) async fn unattended(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.unattended.acquire().await.ok()?;
        (self.places.available_permits() > 0).then_some(permit)
    }

    /// Runs a load to its end if callers wait for it, or if a slot without
    /// callers is free when `deserted` resolves. Returns `None` if not; then
    /// drop the load.
    ///
    /// Otherwise callers that repeatedly give up and retry could keep an
    /// unlimited number of loads running.
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

/// Returns the slot of this task's load, for another task that continues it.
pub(crate) fn current() -> Option<Arc<Place>> {
    PLACE.try_with(Clone::clone).ok().flatten()
}

/// Runs a future in `place`.
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
    async fn a_nested_load_shares_the_slot() {
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
    async fn a_slot_of_another_service_does_not_count() {
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
