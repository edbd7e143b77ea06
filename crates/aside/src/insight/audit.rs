//! Scheduling of the audit: which hits are compared with the database, and how
//! many comparisons run at once.
//!
//! A share of the hits is compared with the database after the reader has its
//! answer. `cached_repository/audit.rs` describes a comparison and why it
//! reports no false positives. This module bounds the work: hits are drawn at
//! random and comparisons start at a steady rate, regardless of the share. If
//! the rate is used up, or the maximum number of comparisons is running, the
//! hit is counted as dropped and nothing waits. A queue was rejected, because
//! it would add load to a busy database.
//!
//! The audit follows Polaris, which checks Meta's caches against their
//! databases at several timescales, and the consistency tracing beside it
//! (Meta, "Cache made consistent", 2022).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::config::CacheConfig;
use crate::runtime::clock::{Moment, whole_millis};

/// The maximum number of concurrent comparisons.
const MAX_CONCURRENT_AUDITS: usize = 8;

/// The interval between comparisons; unused slots accumulate up to the burst.
const EVERY: Duration = Duration::from_millis(100);
const AT_A_BURST: u32 = 10;

/// The time between the database's reply and the second look at the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    TenthOfASecond,
    Second,
    TenSeconds,
}

impl Delay {
    pub(crate) const ALL: [Self; 3] = [Self::TenthOfASecond, Self::Second, Self::TenSeconds];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TenthOfASecond => "100ms",
            Self::Second => "1s",
            Self::TenSeconds => "10s",
        }
    }

    fn time(self) -> Duration {
        match self {
            Self::TenthOfASecond => Duration::from_millis(100),
            Self::Second => Duration::from_secs(1),
            Self::TenSeconds => Duration::from_secs(10),
        }
    }
}

/// The audit of one service.
#[derive(Debug)]
pub(crate) struct Audit {
    share: f64,
    /// The staleness bound if Redis fails or messages are lost.
    bound: Duration,
    /// The time of the next comparison at the steady rate, in milliseconds; see
    /// [`Audit::is_due`].
    next: AtomicU64,
    /// The fills under comparison. One finding per fill is enough.
    fills: Mutex<HashSet<u64>>,
    tasks: Mutex<Tasks>,
}

/// Locked separately from the fills, because a runtime that shuts down drops a
/// task, and its slot, inside the call that spawns it.
#[derive(Debug, Default)]
struct Tasks {
    running: JoinSet<()>,
    closed: bool,
}

/// A fill under comparison, until dropped.
struct Slot {
    audit: Arc<Audit>,
    fill: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.audit.fills.lock().remove(&self.fill);
    }
}

/// The result for a hit that was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    Yes,
    /// The same fill is already under comparison, or the service is closed.
    Needless,
    /// The limits are reached.
    Dropped,
}

impl Audit {
    /// Creates the audit, if the settings enable one.
    pub(crate) fn new(config: &CacheConfig) -> Option<Arc<Self>> {
        let share = config.audit_share;
        (share > 0.0 && config.redis_enabled).then(|| {
            Arc::new(Self {
                share,
                bound: config.max_staleness + config.journal_poll,
                next: AtomicU64::new(0),
                fills: Mutex::default(),
                tasks: Mutex::default(),
            })
        })
    }

    /// Returns true if this hit is drawn.
    pub(crate) fn draws(&self) -> bool {
        self.share >= 1.0 || fastrand::f64() < self.share
    }

    /// Spawns the comparison that `check` returns, for the value of `fill`.
    pub(crate) fn begin<F>(self: &Arc<Self>, fill: u64, check: impl FnOnce() -> F) -> Begun
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Hits are served on any executor, but the task needs tokio's.
        let Ok(runtime) = Handle::try_current() else {
            return Begun::Dropped;
        };
        let slot = match self.slot(fill, Moment::now()) {
            Ok(slot) => slot,
            Err(begun) => return begun,
        };
        let mut tasks = self.tasks.lock();
        while tasks.running.try_join_next().is_some() {}
        if tasks.closed {
            return Begun::Needless;
        }
        let check = check();
        let task = async move {
            let _slot = slot;
            check.await;
        };
        tasks.running.spawn_on(task, &runtime);
        Begun::Yes
    }

    fn slot(self: &Arc<Self>, fill: u64, now: Moment) -> Result<Slot, Begun> {
        // First without the lock, then without waiting for it: a busy service
        // rejects nearly all of its hits here.
        if !self.is_due(now) {
            return Err(Begun::Dropped);
        }
        let mut fills = self.fills.try_lock().ok_or(Begun::Dropped)?;
        if fills.contains(&fill) {
            return Err(Begun::Needless);
        }
        if fills.len() >= MAX_CONCURRENT_AUDITS || !self.is_due(now) {
            return Err(Begun::Dropped);
        }
        // Counted only now, so that a hot row under comparison does not use up
        // the slots of others.
        self.count_begun(now);
        fills.insert(fill);
        Ok(Slot {
            audit: Arc::clone(self),
            fill,
        })
    }

    /// Returns true if the rate permits a comparison at `now`.
    ///
    /// The state is one number, the time at which the next comparison is due.
    /// It may lie a burst ahead (the generic cell rate algorithm).
    fn is_due(&self, now: Moment) -> bool {
        let ahead = whole_millis(EVERY) * u64::from(AT_A_BURST - 1);
        self.next.load(Ordering::Relaxed) <= now.millis() + ahead
    }

    /// Counts one comparison against the rate, under the lock of the fills.
    fn count_begun(&self, now: Moment) {
        let next = self.next.load(Ordering::Relaxed).max(now.millis());
        self.next
            .store(next + whole_millis(EVERY), Ordering::Relaxed);
    }

    /// Returns the wait between the database's reply and the look of `delay`.
    /// The last look also waits until the staleness bound is over.
    pub(crate) fn wait(&self, delay: Delay) -> Duration {
        match delay {
            Delay::TenSeconds => delay.time().max(self.bound),
            _ => delay.time(),
        }
    }

    /// Returns true if an old value at `delay` is a finding. Before the
    /// staleness bound is over, a fault of Redis may explain it.
    pub(crate) fn is_finding(&self, delay: Delay) -> bool {
        self.wait(delay) >= self.bound
    }

    /// Ends all comparisons and starts no more.
    pub(crate) fn close(&self) {
        let mut tasks = self.tasks.lock();
        tasks.closed = true;
        tasks.running.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(max_staleness: Duration) -> Arc<Audit> {
        let config = CacheConfig {
            audit_share: 1.0,
            max_staleness,
            ..CacheConfig::default()
        };
        Audit::new(&config).expect("the audit is enabled")
    }

    #[test]
    fn the_rate_allows_one_burst_after_a_quiet_time() {
        let audit = audit(Duration::from_millis(500));
        let mut now = Moment::from_millis(1_000_000);
        let begun = |now| {
            let fills = 0..100;
            fills.filter(|fill| audit.slot(*fill, now).is_ok()).count()
        };
        assert_eq!(begun(now), 10);
        for _ in 0..50 {
            now = now.plus(EVERY);
            assert_eq!(begun(now), 1);
        }
        assert_eq!(begun(now.plus(Duration::from_secs(3600))), 10);
    }

    #[test]
    fn a_finding_is_always_beyond_the_bound() {
        let usual = audit(Duration::from_millis(500));
        assert!(!usual.is_finding(Delay::TenthOfASecond));
        assert!(usual.is_finding(Delay::Second) && usual.is_finding(Delay::TenSeconds));
        let lax = audit(Duration::from_secs(60));
        assert!(!lax.is_finding(Delay::Second) && lax.is_finding(Delay::TenSeconds));
        assert!(lax.wait(Delay::TenSeconds) > Duration::from_secs(60));
    }

    #[test]
    fn no_audit_runs_by_default() {
        assert!(Audit::new(&CacheConfig::default()).is_none());
    }
}
