//! The books of the audit: which hits it looks at, how much of it runs at
//! once, and what happened lately to the keys that are written.
//!
//! A share of the hits is compared with the database after the reader has its
//! answer; what a comparison does, and why it cannot cry wolf, stands in
//! `cached_repository/audit.rs`. Here it is bounded. Comparisons are drawn by
//! chance and begun at a steady rate, whatever the share: a hit that finds the
//! rate used up, or as many comparisons under way as there may be, is counted
//! and let go, and waits for nothing. Queueing them was refused: what waits
//! for a busy database makes it busier.
//!
//! The idea is that of Polaris, which holds Meta's caches to their databases
//! at several timescales, and of the consistency tracing beside it (Meta,
//! "Cache made consistent", 2022).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

pub(crate) use super::trail::Event;
use super::trail::Events;

use crate::config::CacheConfig;
use crate::runtime::clock::{Moment, whole_millis};

/// How many comparisons may be under way.
const MOST_AT_ONCE: usize = 8;

/// Comparisons begin this far apart; so many may be made up for at once after
/// a quiet time.
const EVERY: Duration = Duration::from_millis(100);
const AT_A_BURST: u32 = 10;

/// How long after the database's answer the cache is looked at again.
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

/// The audit of one service, where it has one.
#[derive(Debug)]
pub(crate) struct Audit {
    share: f64,
    /// What the service promises where Redis fails or messages are lost.
    bound: Duration,
    /// When the next comparison is due by the rate, in milliseconds; see
    /// [`Audit::is_due`].
    next: AtomicU64,
    /// The fills that are looked at. One finding is enough for each.
    fills: Mutex<HashSet<u64>>,
    tasks: Mutex<Tasks>,
    events: Events,
}

/// Apart from the fills: a runtime that is shutting down drops a task, and
/// its slot, inside of the call that spawns it.
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

/// What became of a hit that was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    Yes,
    /// The same fill is looked at already, or the service is closed.
    Needless,
    /// There is too much to do.
    Dropped,
}

impl Audit {
    /// The audit that the settings ask for.
    pub(crate) fn new(config: &CacheConfig) -> Option<Arc<Self>> {
        let share = config.audit_share;
        (share > 0.0 && config.redis_enabled).then(|| {
            Arc::new(Self {
                share,
                bound: config.max_staleness + config.journal_poll,
                next: AtomicU64::new(0),
                fills: Mutex::default(),
                tasks: Mutex::default(),
                events: Events::default(),
            })
        })
    }

    /// Whether chance picks this hit.
    pub(crate) fn draws(&self) -> bool {
        self.share >= 1.0 || fastrand::f64() < self.share
    }

    /// Runs the comparison that `check` makes, of the value that `fill`
    /// brought, beside whoever asked.
    pub(crate) fn begin<F>(self: &Arc<Self>, fill: u64, check: impl FnOnce() -> F) -> Begun
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Hits are served on any executor; a task needs one of tokio's.
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
        // Without a lock first, and then without waiting for it: a busy
        // service turns nearly all of its hits away here.
        if !self.is_due(now) {
            return Err(Begun::Dropped);
        }
        let mut fills = self.fills.try_lock().ok_or(Begun::Dropped)?;
        if fills.contains(&fill) {
            return Err(Begun::Needless);
        }
        if fills.len() >= MOST_AT_ONCE || !self.is_due(now) {
            return Err(Begun::Dropped);
        }
        // Only now: a hot row that is looked at already leaves the others
        // their turn.
        self.count_begun(now);
        fills.insert(fill);
        Ok(Slot {
            audit: Arc::clone(self),
            fill,
        })
    }

    /// Whether the rate permits another one at `now`.
    ///
    /// One number, the time at which the next is due, which may lie a burst
    /// ahead (the generic cell rate algorithm).
    fn is_due(&self, now: Moment) -> bool {
        let ahead = whole_millis(EVERY) * u64::from(AT_A_BURST - 1);
        self.next.load(Ordering::Relaxed) <= now.millis() + ahead
    }

    /// Counts one against the rate, under the lock of the fills.
    fn count_begun(&self, now: Moment) {
        let next = self.next.load(Ordering::Relaxed).max(now.millis());
        self.next
            .store(next + whole_millis(EVERY), Ordering::Relaxed);
    }

    /// How long after the database's answer the look of `delay` is. The last
    /// one waits until what is promised under faults is over as well.
    pub(crate) fn wait(&self, delay: Delay) -> Duration {
        match delay {
            Delay::TenSeconds => delay.time().max(self.bound),
            _ => delay.time(),
        }
    }

    /// Whether what is still served at `delay` is a finding: up to the bound
    /// a fault of Redis excuses it.
    pub(crate) fn is_finding(&self, delay: Delay) -> bool {
        self.wait(delay) >= self.bound
    }

    /// Notes what happened to the key of this hash.
    pub(crate) fn note(&self, hash: u64, event: Event) {
        self.events.note(hash, event, Moment::now());
    }

    /// What happened to it lately, oldest first, in words.
    pub(crate) fn tell(&self, hash: u64) -> String {
        self.events.tell(hash, Moment::now())
    }

    /// Ends what is under way, and begins nothing any more.
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
        Audit::new(&config).expect("it is switched on")
    }

    #[test]
    fn the_rate_holds_after_a_burst_and_a_quiet_time_is_made_up_for_once() {
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
    fn a_finding_is_beyond_the_bound_however_long_that_is() {
        let usual = audit(Duration::from_millis(500));
        assert!(!usual.is_finding(Delay::TenthOfASecond));
        assert!(usual.is_finding(Delay::Second) && usual.is_finding(Delay::TenSeconds));
        let lax = audit(Duration::from_secs(60));
        assert!(!lax.is_finding(Delay::Second) && lax.is_finding(Delay::TenSeconds));
        assert!(lax.wait(Delay::TenSeconds) > Duration::from_secs(60));
    }

    #[test]
    fn there_is_no_audit_where_none_is_asked_for() {
        assert!(Audit::new(&CacheConfig::default()).is_none());
    }
}
