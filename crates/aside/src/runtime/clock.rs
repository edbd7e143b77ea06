//! The clock that is read on every in-process hit, and the ones beside it.
//!
//! It is coarse, because a precise one costs more than the hit itself on some
//! machines: its tick, at most 10 ms, adds to the staleness bound. It is read
//! and never cached by a ticking thread, because a stopped process (SIGSTOP)
//! must find itself late the moment it runs again.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;

#[cfg(test)]
use crate::runtime::simulated;

/// A point in monotonic time, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Before anything happened.
    pub(crate) const NEVER: Self = Self(0);
    /// After everything.
    pub(crate) const ALWAYS: Self = Self(u64::MAX);

    /// Now, at most one tick late.
    #[inline]
    pub(crate) fn now() -> Self {
        #[cfg(test)]
        if let Some(elapsed) = simulated::coarse() {
            return Self(1 + whole_millis(elapsed));
        }
        #[cfg(target_os = "linux")]
        const SOURCE: rustix::time::ClockId = rustix::time::ClockId::MonotonicCoarse;
        #[cfg(not(target_os = "linux"))]
        const SOURCE: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(SOURCE);
        // A monotonic clock counts up from boot, so neither part is negative.
        Self(time.tv_sec.cast_unsigned() * 1000 + time.tv_nsec.cast_unsigned() / 1_000_000)
    }

    #[inline]
    pub(crate) const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    #[inline]
    pub(crate) fn millis(self) -> u64 {
        self.0
    }

    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(duration)))
    }

    /// How long after `earlier` this is; zero when it is not.
    #[inline]
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Now by the wall clock, which is compared with that of other machines.
pub(crate) fn wall() -> Timestamp {
    #[cfg(test)]
    if let Some(wall) = simulated::wall() {
        return wall;
    }
    Timestamp::now()
}

/// A precise monotonic time that is only ever compared with itself.
pub(crate) fn micros() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    #[cfg(test)]
    if let Some(elapsed) = simulated::elapsed() {
        return whole_micros(elapsed);
    }
    whole_micros(START.elapsed())
}

fn whole_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A duration in milliseconds, as far as 64 bits go.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_lags_real_time_by_no_more_than_a_tick() {
        let (begin, coarse) = (std::time::Instant::now(), Moment::now());
        while begin.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        let (real, seen) = (begin.elapsed(), Moment::now().since(coarse));
        assert!(
            seen + Duration::from_millis(11) >= real,
            "{seen:?} seen of {real:?}"
        );
    }
}
