//! What was promised, so that it can be checked.

use std::time::Duration;

use super::event::ReadKind;

/// How old an answer may be, and how far answers may go back.
///
/// Without faults a strict read is bound by nothing but the newest write that
/// returned, and a lenient one may be as old as the bound of the cache; that
/// is [`Bounds::new`]. Scenarios that promise less say so by changing a field.
///
/// ```
/// use std::time::Duration;
/// use aside_testkit::history::Bounds;
///
/// // A failover may lose what Redis had acknowledged, for at most H.
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
    /// Zero unless the scenario loses what Redis had acknowledged, or writes
    /// while Redis is out of reach.
    pub strict: Duration,
    /// How long after a write returned a lenient read may still miss it.
    pub lenient: Duration,
    /// How long after the end of a strict read another one, of any instance,
    /// may still return something older.
    ///
    /// Zero unless instances may disagree: one that cannot reach Redis reads
    /// the database, while the others still trust what Redis says.
    pub strict_backwards: Duration,
    /// How long after the end of a lenient read another one of the same
    /// instance may still return something older. Usually zero.
    pub lenient_backwards: Duration,
    /// Whether an instance never misses a write of its own that returned,
    /// whatever the other bounds.
    pub own_writes: bool,
}

impl Bounds {
    /// What is promised while Redis keeps what it acknowledged: strict reads
    /// are never stale, lenient ones by at most `max_staleness`.
    pub const fn new(max_staleness: Duration) -> Self {
        Self {
            strict: Duration::ZERO,
            lenient: max_staleness,
            strict_backwards: Duration::ZERO,
            lenient_backwards: Duration::ZERO,
            own_writes: true,
        }
    }

    /// What is promised where Redis is out of the writer's reach, and other
    /// instances hear of writes through a journal that they poll.
    pub fn with_journal(poll: Duration, max_staleness: Duration) -> Self {
        let bound = poll.saturating_add(max_staleness);
        Self {
            strict: bound,
            strict_backwards: bound,
            ..Self::new(bound)
        }
    }

    /// How long after a write returned such a read may still miss it.
    pub(super) const fn staleness(&self, kind: ReadKind) -> Duration {
        match kind {
            ReadKind::Strict => self.strict,
            ReadKind::Lenient => self.lenient,
        }
    }
}
