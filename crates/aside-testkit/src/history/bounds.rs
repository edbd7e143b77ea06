//! The promised bounds that a history is checked against.

use std::time::Duration;

use super::event::ReadKind;

/// How old a result may be, and how far results may go back.
///
/// Without faults a strict read must see the newest write that returned. A
/// lenient read may lag by the bound of the cache. That is [`Bounds::new`];
/// scenarios with weaker promises change single fields.
///
/// ```
/// use std::time::Duration;
/// use aside_testkit::history::Bounds;
///
/// // A failover may lose writes that Redis had acknowledged, for at most H.
/// let h = Duration::from_millis(500);
/// let failover = Bounds {
///     strict: h,
///     strict_backwards: h,
///     ..Bounds::new(h)
/// };
/// assert_eq!(failover.lenient, h);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long after a write returned a strict read may still miss it.
    ///
    /// Zero, unless the scenario loses writes that Redis had acknowledged, or
    /// writes while Redis is unreachable.
    pub strict: Duration,
    /// How long after a write returned a lenient read may still miss it.
    pub lenient: Duration,
    /// How long after the end of a strict read another strict read, of any
    /// instance, may still return an older version.
    ///
    /// Zero, unless instances may disagree: an instance that cannot reach Redis
    /// reads the database, while the others still trust Redis.
    pub strict_backwards: Duration,
    /// How long after the end of a lenient read another lenient read of the
    /// same instance may still return an older version. Usually zero.
    pub lenient_backwards: Duration,
    /// If true, an instance never misses one of its writes that returned, even
    /// within the other bounds.
    pub own_writes: bool,
}

impl Bounds {
    /// Returns the bounds while Redis keeps all acknowledged writes: strict
    /// reads are never stale, lenient reads by at most `max_staleness`.
    pub const fn new(max_staleness: Duration) -> Self {
        Self {
            strict: Duration::ZERO,
            lenient: max_staleness,
            strict_backwards: Duration::ZERO,
            lenient_backwards: Duration::ZERO,
            own_writes: true,
        }
    }

    /// Returns the bounds if the writer cannot reach Redis and other instances
    /// learn of writes by polling a journal.
    pub fn with_journal(poll: Duration, max_staleness: Duration) -> Self {
        let bound = poll.saturating_add(max_staleness);
        Self {
            strict: bound,
            strict_backwards: bound,
            ..Self::new(bound)
        }
    }

    /// Returns how long after a write returned such a read may still miss it.
    pub(super) const fn staleness(&self, kind: ReadKind) -> Duration {
        match kind {
            ReadKind::Strict => self.strict,
            ReadKind::Lenient => self.lenient,
        }
    }
}
