//! The causes of suspicions.

use std::fmt;

use aside_redis::Refusal;

use crate::trust::refusal::advice;

/// The cause of a suspicion.
#[derive(Clone, Debug)]
pub(crate) enum Suspicion {
    TimedOut,
    Disconnected,
    LatePong,
    Refused(Refusal),
    NotPrimary,
    PrimaryMoved,
    Unconfirmed,
    NoQuorum,
    OtherHistory,
    BreakerOpen,
    TaskPanicked,
    RuntimeEnded,
}

impl Suspicion {
    /// The labels in metrics.
    pub(crate) const LABELS: [&str; 11] = [
        "timed_out",
        "disconnected",
        "late_pong",
        "refused",
        "not_primary",
        "primary_moved",
        "unconfirmed",
        "other_history",
        "breaker_open",
        "task_panicked",
        "runtime_ended",
    ];

    /// Creates the suspicion for a reply that no Redis would send.
    pub(crate) fn unexpected() -> Self {
        Self::Refused(Refusal::parse("UNEXPECTED"))
    }

    /// Returns the place of its label.
    pub(super) fn number(&self) -> usize {
        match self {
            Self::TimedOut => 0,
            Self::Disconnected => 1,
            Self::LatePong => 2,
            Self::Refused(_) => 3,
            Self::NotPrimary => 4,
            Self::PrimaryMoved => 5,
            // By other witnesses.
            Self::Unconfirmed | Self::NoQuorum => 6,
            Self::OtherHistory => 7,
            Self::BreakerOpen => 8,
            Self::TaskPanicked => 9,
            Self::RuntimeEnded => 10,
        }
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => formatter.write_str("no reply within the operation timeout"),
            Self::Disconnected => formatter.write_str("the connection was lost"),
            Self::LatePong => formatter.write_str("Redis replies too slowly"),
            Self::Refused(refusal) => {
                let advice = advice(refusal.code());
                write!(
                    formatter,
                    "Redis refused an operation with {refusal}{advice}"
                )
            }
            Self::NotPrimary => formatter.write_str("the server is not a primary"),
            Self::PrimaryMoved => formatter.write_str("the Sentinels name another primary"),
            Self::Unconfirmed => formatter.write_str(
                "no majority of the Sentinels confirms the primary: too few reply, or they \
                 are replacing it",
            ),
            Self::NoQuorum => formatter.write_str(
                "no majority of the cluster's primaries confirms this one: too few reply, or \
                 they elect another",
            ),
            Self::OtherHistory => {
                formatter.write_str("its connections reach servers with different histories")
            }
            Self::TaskPanicked => {
                formatter.write_str("a background task of this instance panicked")
            }
            Self::RuntimeEnded => formatter.write_str(
                "the runtime of this service has ended; the next use moves it to another one",
            ),
            Self::BreakerOpen => formatter.write_str("the circuit breaker is open"),
        }
    }
}
