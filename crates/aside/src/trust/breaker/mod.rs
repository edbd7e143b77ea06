//! The circuit breaker of one server: closed, open, half-open.
//!
//! The link ends trust after a single operation without a reply, and restores
//! it with the next PONG. That suits a server that is either up or down. It
//! does not suit a server that replies to PINGs while other operations time
//! out, because a read would wait again after every PONG, nor a server that
//! replies slowly to everything. So the results of operations are counted over
//! a rolling window. If too many failed or were slow, the breaker opens: a
//! suspicion that a PONG alone does not end.
//!
//! It also opens if the link was untrusted for as long as the window,
//! regardless of traffic. A busy service sees only as many failures as it had
//! operations in flight, few compared with the successes before. That service
//! in particular must not resume all at once.
//!
//! After a pause, a write and a read of an unused key probe the server, and
//! their success half-opens the breaker. Writes then follow the whole protocol,
//! and a growing share of reads uses Redis. The other reads bypass it, through
//! the bulkhead in front of the database. So neither Redis nor the database
//! gets the full load at once. Pauses, ramps and draws are random, so instances
//! do not resume in step. A failure during the ramp opens the breaker again;
//! the end of the ramp closes it.
//!
//! A read that is not admitted is a normal bypass, so no rule of the protocol
//! depends on a draw.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The number of slots in the rolling window of five seconds.
const SLOTS: usize = 10;
const SLOT: Duration = Duration::from_millis(500);

/// How long a link may be untrusted before the breaker opens.
const OUTAGE_AFTER: Duration = Duration::from_secs(5);

/// The minimum number of failed or slow operations in the window; they open the
/// breaker if they are at least half of all.
const MIN_FAILURES: u32 = 5;

/// The range of the pause before a probe. Short, because a recovered server
/// also stays unused for that long.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(750));

/// The range of the time from the first admitted reads to all.
const RAMP: (Duration, Duration) = (Duration::from_millis(750), Duration::from_millis(1250));

/// The share of reads admitted first.
const FIRST_SHARE: f64 = 0.1;

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Everything uses Redis.
    Closed,
    /// Writes and a growing share of reads use Redis.
    HalfOpen,
    /// Nothing uses Redis, because it fails too often or is too slow.
    Open,
}

impl BreakerState {
    /// Returns its name in `/health`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }

    /// Returns its number in `aside_breaker_state`.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// The circuit breaker of one server.
#[derive(Debug)]
pub(crate) struct Breaker {
    slow_from: Duration,
    /// The state's number, so that readers rarely need the lock.
    state: AtomicU8,
    /// Incremented by every change that makes earlier operations irrelevant.
    period: AtomicU64,
    course: Mutex<Course>,
}

#[derive(Debug)]
struct Course {
    phase: Phase,
    window: Window,
    without_trust_since: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        /// `None` until a read could be admitted: other proofs may be missing.
        begun: Option<Instant>,
        length: Duration,
    },
}

/// An operation in progress.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt {
    begun: Instant,
    period: u64,
}

/// The result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Answered,
    /// Answered, but incomplete at the deadline.
    Late,
    Failed,
}

/// How far a PONG may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probing {
    NotNeeded,
    NotYet,
    Due,
}

impl Breaker {
    /// Creates a closed breaker; replies that take `slow_from` or longer are
    /// slow.
    pub(crate) fn new(slow_from: Duration) -> Self {
        Self {
            slow_from,
            state: AtomicU8::new(BreakerState::Closed.number()),
            period: AtomicU64::new(0),
            course: Mutex::new(Course {
                phase: Phase::Closed,
                window: Window::new(),
                without_trust_since: None,
            }),
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        let mut course = self.course.lock();
        self.end_ramp(&mut course);
        match course.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Returns true if a read that could use Redis should. Call it once per
    /// read, because two draws would admit the square of the share.
    pub(crate) fn admits(&self) -> bool {
        if self.state.load(Ordering::Acquire) == BreakerState::Closed.number() {
            return true;
        }
        let mut course = self.course.lock();
        self.end_ramp(&mut course);
        match &mut course.phase {
            Phase::Closed => true,
            Phase::Open { .. } => false,
            Phase::HalfOpen { begun, length } => {
                let begun = *begun.get_or_insert_with(Instant::now);
                let passed = begun.elapsed().as_secs_f64() / length.as_secs_f64();
                fastrand::f64() < FIRST_SHARE + (1.0 - FIRST_SHARE) * passed
            }
        }
    }

    /// Registers an operation that is about to be sent.
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt {
            begun: Instant::now(),
            period: self.period.load(Ordering::Acquire),
        }
    }

    /// Counts the result of an operation. Returns true if that opened the
    /// breaker; then the caller must suspect the link.
    pub(crate) fn ended(&self, attempt: &Attempt, ended: Ended) -> bool {
        let mut course = self.course.lock();
        // Sent before the last change of state, so it says nothing about the
        // server now.
        if attempt.period != self.period.load(Ordering::Acquire) {
            return false;
        }
        self.end_ramp(&mut course);
        let slow = ended == Ended::Late || self.is_slow(attempt.begun.elapsed());
        course.window.count(ended == Ended::Failed || slow);
        let opens = match course.phase {
            Phase::Open { .. } => None,
            Phase::HalfOpen { .. } if ended == Ended::Failed => Some("it failed again"),
            Phase::HalfOpen { .. } | Phase::Closed => course
                .window
                .is_bad()
                .then_some("too many operations failed or were slow"),
        };
        opens.is_some_and(|why| self.open(&mut course, why))
    }

    /// Records whether the link is trusted; call it a few times per second.
    /// Returns true if the breaker opened because trust was missing for too
    /// long.
    pub(crate) fn saw(&self, trusted: bool) -> bool {
        let mut course = self.course.lock();
        self.end_ramp(&mut course);
        let since = match &mut course.phase {
            // Without reads the ramp ends all the same.
            Phase::HalfOpen { begun, .. } if trusted => {
                begun.get_or_insert_with(Instant::now);
                None
            }
            Phase::Closed if !trusted => {
                let since = course.without_trust_since.unwrap_or_else(Instant::now);
                Some(since)
            }
            _ => None,
        };
        course.without_trust_since = since;
        since.is_some_and(|since| since.elapsed() >= OUTAGE_AFTER)
            && self.open(&mut course, "untrusted for too long")
    }

    /// Returns how far a PONG may be trusted.
    pub(crate) fn probing(&self) -> Probing {
        match self.course.lock().phase {
            Phase::Closed | Phase::HalfOpen { .. } => Probing::NotNeeded,
            Phase::Open { until } if Instant::now() < until => Probing::NotYet,
            Phase::Open { .. } => Probing::Due,
        }
    }

    /// Records the result of a probe that was due, and its duration.
    pub(crate) fn probed(&self, succeeded: bool, took: Duration) {
        let mut course = self.course.lock();
        if !matches!(course.phase, Phase::Open { .. }) {
            return;
        }
        if succeeded && !self.is_slow(took) {
            let length = between(RAMP);
            self.enter(
                &mut course,
                Phase::HalfOpen {
                    begun: None,
                    length,
                },
            );
            tracing::info!("the circuit breaker is half-open: Redis answers again");
        } else {
            let until = Instant::now() + between(PAUSE);
            course.phase = Phase::Open { until };
        }
    }

    fn is_slow(&self, took: Duration) -> bool {
        self.slow_from <= took
    }

    fn open(&self, course: &mut Course, why: &'static str) -> bool {
        let until = Instant::now() + between(PAUSE);
        self.enter(course, Phase::Open { until });
        tracing::warn!(why, "the circuit breaker is open: Redis is not used");
        true
    }

    fn end_ramp(&self, course: &mut Course) {
        if let Phase::HalfOpen {
            begun: Some(begun),
            length,
        } = course.phase
            && length <= begun.elapsed()
        {
            self.enter(course, Phase::Closed);
            tracing::info!("the circuit breaker is closed: Redis is used in full");
        }
    }

    fn enter(&self, course: &mut Course, phase: Phase) {
        let state = match phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        };
        // Operations in progress when the ramp ends were sent to the same
        // server.
        if state != BreakerState::Closed {
            self.period.fetch_add(1, Ordering::AcqRel);
        }
        course.window = Window::new();
        course.without_trust_since = None;
        course.phase = phase;
        self.state.store(state.number(), Ordering::Release);
    }
}

fn between((least, most): (Duration, Duration)) -> Duration {
    least + (most - least).mul_f64(fastrand::f64())
}

/// Recent operations: how many there were, and how many failed or were slow.
#[derive(Debug)]
struct Window {
    origin: Instant,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    number: u64,
    all: u32,
    bad: u32,
}

impl Window {
    fn new() -> Self {
        Self {
            origin: Instant::now(),
            slots: [Slot::default(); SLOTS],
        }
    }

    /// Returns the number of the current slot.
    fn number(&self) -> u64 {
        let passed = self.origin.elapsed().as_millis() / SLOT.as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    fn count(&mut self, bad: bool) {
        let number = self.number();
        // The remainder is below ten.
        #[allow(clippy::cast_possible_truncation)]
        let slot = &mut self.slots[(number % SLOTS as u64) as usize];
        if slot.number != number {
            *slot = Slot {
                number,
                ..Slot::default()
            };
        }
        slot.all = slot.all.saturating_add(1);
        slot.bad = slot.bad.saturating_add(u32::from(bad));
    }

    fn is_bad(&self) -> bool {
        let oldest = (self.number() + 1).saturating_sub(SLOTS as u64);
        let of_late = self.slots.iter().filter(|slot| oldest <= slot.number);
        let (all, bad) = of_late.fold((0_u64, 0_u64), |(all, bad), slot| {
            (all + u64::from(slot.all), bad + u64::from(slot.bad))
        });
        u64::from(MIN_FAILURES) <= bad && all <= bad * 2
    }
}

#[cfg(test)]
mod tests;
