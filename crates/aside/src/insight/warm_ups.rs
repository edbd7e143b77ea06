//! The warm-ups of a start, and their progress.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The progress of a warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WarmUpProgress {
    /// Rows and lists read through the cache so far.
    pub done: usize,
    /// Rows and lists stored in Redis so far. The others were there already, or
    /// could not be stored.
    pub filled: usize,
    /// Rows and lists in all.
    pub total: usize,
}

/// The warm-ups that begin with the process, by kind.
#[derive(Debug, Default)]
pub(crate) struct WarmUps(Mutex<BTreeMap<&'static str, WarmUp>>);

#[derive(Clone, Copy, Debug)]
struct WarmUp {
    progress: WarmUpProgress,
    /// When it began, if the start waits for it.
    awaited: Option<Instant>,
}

impl WarmUps {
    /// Returns true for the first call with a kind: its warm-up is to begin. If Redis is
    /// not used yet, `is_awaited` is false: a start does not wait for an outage.
    pub(crate) fn begin(&self, kind: &'static str, is_awaited: bool) -> bool {
        let mut known = self.0.lock();
        let is_new = !known.contains_key(kind);
        known.entry(kind).or_insert_with(|| WarmUp {
            progress: WarmUpProgress::default(),
            awaited: is_awaited.then(Instant::now),
        });
        is_new
    }

    /// Records the progress of the warm-up of a kind.
    pub(crate) fn report(&self, kind: &'static str, progress: WarmUpProgress) {
        if let Some(warm_up) = self.0.lock().get_mut(kind) {
            warm_up.progress = progress;
        }
    }

    /// Records that the warm-up of a kind has ended.
    pub(crate) fn end(&self, kind: &'static str) {
        if let Some(warm_up) = self.0.lock().get_mut(kind) {
            warm_up.awaited = None;
        }
    }

    /// Returns true if the start waits for no warm-up, or has waited for the deadline.
    pub(crate) fn is_over(&self, deadline: Duration) -> bool {
        let known = self.0.lock();
        let mut awaited = known.values().filter_map(|warm_up| warm_up.awaited);
        awaited.all(|since| deadline <= since.elapsed())
    }

    /// Returns the progress by kind, of those that had something to read.
    pub(crate) fn progress(&self) -> BTreeMap<String, WarmUpProgress> {
        let known = self.0.lock();
        let read = known.iter().filter(|(_, it)| it.progress.total > 0);
        read.map(|(kind, it)| ((*kind).to_owned(), it.progress))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn of_total(total: usize) -> WarmUpProgress {
        WarmUpProgress {
            total,
            ..WarmUpProgress::default()
        }
    }

    #[test]
    fn each_kind_is_warmed_once() {
        let warm_ups = WarmUps::default();
        assert!(warm_ups.begin("hero", true) && warm_ups.begin("tale", true));
        assert!(!warm_ups.begin("hero", true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_waits_for_every_kind_and_no_longer_than_the_deadline() {
        let warm_ups = WarmUps::default();
        warm_ups.begin("hero", true);
        warm_ups.begin("tale", true);
        warm_ups.report("hero", of_total(7));
        warm_ups.end("tale");
        assert!(!warm_ups.is_over(DEADLINE));
        tokio::time::advance(DEADLINE).await;
        assert!(warm_ups.is_over(DEADLINE));
        assert_eq!(warm_ups.progress().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_goes_on_when_all_has_been_read() {
        let warm_ups = WarmUps::default();
        warm_ups.begin("hero", true);
        assert!(!warm_ups.is_over(DEADLINE));
        warm_ups.end("hero");
        assert!(warm_ups.is_over(DEADLINE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_does_not_wait_for_a_redis_that_is_away() {
        let warm_ups = WarmUps::default();
        warm_ups.begin("hero", false);
        assert!(warm_ups.is_over(DEADLINE));
        warm_ups.report("hero", of_total(7));
        assert!(warm_ups.is_over(DEADLINE), "it was ready before");
    }
}
