//! The values of the labels under which reads, writes and invalidations are
//! counted.

use crate::answer::{Bypass, Tier};
use crate::protocol::message::Why;

/// The kinds of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    FindById,
    FindMany,
    FindBy,
    ListAll,
    /// A read of a warm-up, by id, index or list: no caller waits for it.
    WarmUp,
}

impl Operation {
    /// The reads that callers wait for.
    pub(super) const OF_CALLERS: [Self; 4] =
        [Self::FindById, Self::FindMany, Self::FindBy, Self::ListAll];
    pub(crate) const ALL: [Self; 5] = [
        Self::FindById,
        Self::FindMany,
        Self::FindBy,
        Self::ListAll,
        Self::WarmUp,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::FindById => "find_by_id",
            Self::FindMany => "find_many",
            Self::FindBy => "find_by",
            Self::ListAll => "list_all",
            Self::WarmUp => "warm_up",
        }
    }
}

/// The outcomes of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    L1Hit,
    L2Hit,
    NegativeHit,
    StaleHit,
    Miss,
    Bypass,
}

impl Outcome {
    pub(crate) const ALL: [Self; 6] = [
        Self::L1Hit,
        Self::L2Hit,
        Self::NegativeHit,
        Self::StaleHit,
        Self::Miss,
        Self::Bypass,
    ];

    #[inline]
    pub(crate) fn of(tier: Tier, bypass: Option<Bypass>, absence: bool) -> Self {
        match (tier, bypass) {
            (Tier::Local | Tier::Shared, _) if absence => Self::NegativeHit,
            (Tier::Local, _) => Self::L1Hit,
            (Tier::Shared, _) => Self::L2Hit,
            (Tier::Source, None) => Self::Miss,
            (Tier::Source, Some(_)) => Self::Bypass,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::L1Hit => "l1_hit",
            Self::L2Hit => "l2_hit",
            Self::NegativeHit => "negative_hit",
            Self::StaleHit => "stale_hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// The state of a Redis that is bypassed, for the reason of a bypass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// There is no connection.
    Away,
    /// The circuit breaker is not closed.
    Breaker,
    /// A suspicion has not ended.
    Suspect,
    /// The last proof is too old.
    Unproved,
    /// The epoch of the kind is not known yet.
    EpochUnknown,
    /// An operation was not answered, and all of that is over again.
    Unanswered,
}

impl Unavailable {
    pub(crate) const ALL: [Self; 6] = [
        Self::Away,
        Self::Breaker,
        Self::Suspect,
        Self::Unproved,
        Self::EpochUnknown,
        Self::Unanswered,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Breaker => "breaker",
            Self::Suspect => "suspect",
            Self::Unproved => "unproved",
            Self::EpochUnknown => "epoch-unknown",
            Self::Unanswered => "unanswered",
        }
    }
}

/// The fate of a row that was fetched because it was likely to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guessed {
    /// It was read.
    Used,
    /// It was read while it was being fetched.
    Late,
    /// It was not read before later ones took its place.
    Unused,
    /// It was invalidated or replaced before it was read.
    Void,
    /// It could not be fetched or filled now.
    Refused,
}

impl Guessed {
    pub(crate) const ALL: [Self; 5] = [
        Self::Used,
        Self::Late,
        Self::Unused,
        Self::Void,
        Self::Refused,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Late => "late",
            Self::Unused => "unused",
            Self::Void => "void",
            Self::Refused => "refused",
        }
    }
}

/// The reason why keys were invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A write through a repository.
    Write,
    /// A request by the application.
    Request,
    /// The audit found a value older than the database.
    Audit,
}

impl Reason {
    pub(crate) const ALL: [Self; 3] = [Self::Write, Self::Request, Self::Audit];

    /// Returns it as the reason of a message.
    pub(crate) fn why(self) -> Why {
        match self {
            Self::Write => Why::Write,
            Self::Request => Why::Request,
            Self::Audit => Why::Audit,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Request => "request",
            Self::Audit => "audit",
        }
    }
}

/// The end of an early refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// The value was replaced.
    Done,
    /// Another reader refreshes it.
    Lost,
    /// The database or Redis did not take part.
    Failed,
    /// A write came between, or the new value cannot be cached.
    Void,
}

impl Refreshed {
    pub(crate) const ALL: [Self; 4] = [Self::Done, Self::Lost, Self::Failed, Self::Void];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::Void => "void",
        }
    }
}

/// The phases of a write that the library sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WritePhase {
    /// `before_commit`.
    Quarantine,
    /// From there to the verdict: the rest of the transaction and its COMMIT.
    Transaction,
    /// From the verdict to the reply to RELEASE.
    Release,
}

impl WritePhase {
    pub(crate) const ALL: [Self; 3] = [Self::Quarantine, Self::Transaction, Self::Release];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::Transaction => "transaction",
            Self::Release => "release",
        }
    }
}
