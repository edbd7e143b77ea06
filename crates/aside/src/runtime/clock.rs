//! Clocks: a coarse one, read on every local hit, and precise ones.
//!
//! The coarse clock's tick is at most 10 ms and adds to the staleness bound. A
//! precise clock costs more than the hit itself on some machines.
//!
//! Suspended process. No thread caches the time, because a process stopped by
//! SIGSTOP must see how late it is as soon as it runs again.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;

#[cfg(test)]
use crate::runtime::simulated;

/// A point in monotonic time, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Earlier than any event.
    pub(crate) const NEVER: Self = Self(0);
    /// Later than any event.
    pub(crate) const ALWAYS: Self = Self(u64::MAX);

    /// Returns the current time, at most one tick late.
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

    /// Returns the time from `earlier` to this moment; zero if `earlier` is
    /// later.
    #[inline]
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Returns the wall clock's time, which is compared with other machines'
/// clocks.
pub(crate) fn wall() -> Timestamp {
    #[cfg(test)]
    if let Some(wall) = simulated::wall() {
        return wall;
    }
    Timestamp::now()
}

/// Returns a precise monotonic time, comparable only with other results of this
/// function.
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

/// Returns a duration in milliseconds, saturating at 64 bits.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_at_most_one_tick_late() {
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
