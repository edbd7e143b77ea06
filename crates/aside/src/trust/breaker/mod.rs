//! The circuit breaker of one server: closed, open, half-open.
//!
//! The link ends trust at a single operation without an answer, and trusts
//! again with the next PONG. That is right for a server that is there or is
//! not, and wrong for two others: one that answers PINGs and lets what matters
//! run into the deadline, for which a read would wait again after every PONG,
//! and one that answers everything, slowly. So what became of each operation
//! is counted over a rolling window, and where too much of it failed or was
//! slow, the breaker opens: a suspicion that no PONG ends by itself.
//!
//! It also opens where the link has been without trust for as long as the
//! window, whatever the traffic: a busy service sees only as many failures as
//! it had operations in flight, few beside the successes before them, and is
//! the one that must not come back all at once.
//!
//! After a pause a write and a read of a key that nobody reads are tried, and
//! their success half-opens it. Writes then do the whole protocol, and of the
//! reads a share that grows until it is all of them; the others pass Redis by,
//! through the guard in front of the database. So neither meets everybody in
//! the same instant, and as pauses, ramps and draws are random, many instances
//! do not come back in step. A failure meanwhile opens it again; a ramp that
//! came to its end closes it.
//!
//! A read that is not admitted goes the way of any bypass, so no rule of the
//! protocol depends on a draw.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What the rolling window is made of: five seconds.
const SLOTS: usize = 10;
const SLOT: Duration = Duration::from_millis(500);

/// How long a link may be without trust before the breaker opens.
const AWAY: Duration = Duration::from_secs(5);

/// Fewer failed or slow operations within the window say nothing; so many
/// open the breaker if they are at least half of all.
const LEAST_BAD: u32 = 5;

/// The shortest and the longest time for which it stays open unprobed. Short,
/// because it is also how long a server that is well again goes unused.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(750));

/// The shortest and the longest time from the first admitted reads to all.
const RAMP: (Duration, Duration) = (Duration::from_millis(750), Duration::from_millis(1250));

/// The share of reads that is admitted first.
const FIRST_SHARE: f64 = 0.1;

/// What a circuit breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Writes, and a growing share of reads.
    HalfOpen,
    /// Nothing: the server fails too often, or is too slow.
    Open,
}

impl BreakerState {
    /// The word for it in `/health`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }

    /// The number for it in `aside_breaker_state`.
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
    /// The state's number, for readers who then need no lock: nearly all.
    state: AtomicU8,
    /// Raised by every change that makes what was begun before say nothing.
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

/// An operation under way.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt {
    begun: Instant,
    period: u64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Answered,
    /// Answered, but not as a whole before the deadline.
    Late,
    Failed,
}

/// Whether a PONG may be taken at its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probing {
    NotNeeded,
    NotYet,
    Due,
}

impl Breaker {
    /// A closed one, for a server whose answers are slow from `slow_from` on.
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

    /// Whether a read that could go through Redis should. To be asked once
    /// per read: two draws would admit the square of the share.
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

    /// An operation is about to be sent.
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt {
            begun: Instant::now(),
            period: self.period.load(Ordering::Acquire),
        }
    }

    /// Counts what became of an operation; true if that opened the breaker,
    /// upon which the link must be made suspect.
    pub(crate) fn ended(&self, attempt: &Attempt, ended: Ended) -> bool {
        let mut course = self.course.lock();
        // Sent to a server that was still thought well, or thought ill: it
        // says nothing of the present one.
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

    /// Learns whether the link has trust now, which somebody must look at a
    /// few times a second; true if it has had none for so long that the
    /// breaker opened.
    pub(crate) fn saw(&self, trusted: bool) -> bool {
        let mut course = self.course.lock();
        self.end_ramp(&mut course);
        let since = match &mut course.phase {
            // Where nobody reads, the ramp ends all the same.
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
        since.is_some_and(|since| since.elapsed() >= AWAY)
            && self.open(&mut course, "it has been away")
    }

    /// Whether a PONG proves as much as it says.
    pub(crate) fn probing(&self) -> Probing {
        match self.course.lock().phase {
            Phase::Closed | Phase::HalfOpen { .. } => Probing::NotNeeded,
            Phase::Open { until } if Instant::now() < until => Probing::NotYet,
            Phase::Open { .. } => Probing::Due,
        }
    }

    /// A probe that was due came to its end, after so long.
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
        // What is under way when the ramp ends was sent to the same server.
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

/// How many operations there were of late, and how many failed or were slow.
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

    /// The number of the slot that it is now.
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
        u64::from(LEAST_BAD) <= bad && all <= bad * 2
    }
}

#[cfg(test)]
mod tests;
