//! The one clock that all processes of a machine share.

use std::ops::Add;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A moment on the monotonic clock of this machine, in nanoseconds.
///
/// The standard library's `Instant` reads the same clock, but does not expose
/// its number. This one can be written by one process and compared by another.
/// It has no meaning on another machine or after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// Before every event that can be recorded.
    pub const ZERO: Self = Self(0);

    /// Returns the current moment.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        // The clock counts up from the start of the machine, so it is never
        // negative.
        Self(now.tv_sec as u64 * NANOS_PER_SECOND + now.tv_nsec as u64)
    }

    /// Returns the moment that many nanoseconds after [`Time::ZERO`].
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns how many nanoseconds after [`Time::ZERO`] it is.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns how long after `earlier` it is; zero if it is not later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the moment `by` earlier, at the least [`Time::ZERO`].
    pub(super) fn back(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
