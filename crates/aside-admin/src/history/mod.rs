//! The recent past of the counters, for charts that need no other server.

pub(crate) mod sample;
pub(crate) mod rings;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aside::CacheService;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use self::rings::{Range, Rings};
use self::sample::{Sample, Totals};

const SECOND: Duration = Duration::from_secs(1);

/// Samples the counters of a service each second, in a task that ends with it.
pub(crate) struct History {
    cache: CacheService,
    rings: Mutex<Rings>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl History {
    pub(crate) fn new(cache: CacheService) -> Arc<Self> {
        Arc::new(Self {
            cache,
            rings: Mutex::default(),
            task: Mutex::default(),
        })
    }

    /// Starts the task, unless it runs or there is no runtime yet.
    pub(crate) fn begin(self: &Arc<Self>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // The task of an earlier runtime has ended with it.
        let runs = task.as_ref().is_some_and(|task| !task.is_finished());
        if runs || self.cache.is_closed() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            *task = Some(runtime.spawn(sample(Arc::downgrade(self))));
        }
    }

    /// Returns the samples of a range, oldest first.
    pub(crate) fn samples(&self, range: Range) -> Vec<Sample> {
        self.rings().samples(range)
    }

    /// Returns the work of the last minute; `None` before the first sample.
    pub(crate) fn last_minute(&self) -> Option<Sample> {
        self.rings().last_minute()
    }

    fn rings(&self) -> std::sync::MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for History {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("History").finish_non_exhaustive()
    }
}

/// Takes a sample each second until the history is dropped or the service closed.
async fn sample(history: Weak<History>) {
    let mut ticks = tokio::time::interval(SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before: Option<(Instant, Totals)> = None;
    loop {
        ticks.tick().await;
        let Some(history) = history.upgrade() else {
            return;
        };
        if history.cache.is_closed() {
            return;
        }
        let (now, totals) = (Instant::now(), Totals::of(&history.cache.stats()));
        if let Some((then, earlier)) = before {
            let span = now.duration_since(then).as_millis();
            let span = u32::try_from(span).unwrap_or(u32::MAX);
            let second = totals.since(&earlier, unix_millis(), span);
            history.rings().push(second);
        }
        before = Some((now, totals));
    }
}

fn unix_millis() -> i64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use aside::{CacheConfig, Secret};

    use super::*;

    async fn in_memory() -> CacheService {
        CacheService::connect(CacheConfig {
            redis_url: Secret::new("memory://"),
            ..CacheConfig::default()
        })
        .await
    }

    async fn is_over(history: &Weak<History>) -> bool {
        aside_testkit::eventually(Duration::from_secs(10), "the end of the task", async || {
            history.upgrade().is_none()
        })
        .await;
        true
    }

    #[tokio::test]
    async fn the_task_ends_with_the_last_router() {
        let history = History::new(in_memory().await);
        history.begin();
        let weak = Arc::downgrade(&history);
        drop(history);
        assert!(is_over(&weak).await);
    }

    #[tokio::test]
    async fn the_task_ends_with_the_service_and_starts_no_more() {
        let cache = in_memory().await;
        let history = History::new(cache.clone());
        history.begin();
        cache.close().await;
        let finished = || {
            let task = history.task.lock().unwrap();
            task.as_ref().is_some_and(JoinHandle::is_finished)
        };
        aside_testkit::eventually(Duration::from_secs(10), "the end of the task", async || {
            finished()
        })
        .await;
        history.begin();
        assert!(finished());
    }

    #[test]
    fn a_router_that_outlives_a_runtime_samples_on_the_next() {
        let runtime = || tokio::runtime::Runtime::new().unwrap();
        let first = runtime();
        let history = first.block_on(async { History::new(in_memory().await) });
        first.block_on(async { history.begin() });
        drop(first);
        runtime().block_on(async {
            history.begin();
            aside_testkit::eventually(Duration::from_secs(10), "a sample", async || {
                history.last_minute().is_some()
            })
            .await;
        });
    }
}
