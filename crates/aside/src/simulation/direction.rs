//! The directed plans: one interleaving for each rule of a cluster.
//!
//! Random worlds meet some of these interleavings too rarely, because several steps must
//! happen in one order. `directed` takes exactly these steps.

use fastrand::Rng;

use super::network::Pace;
use crate::runtime::simulated::Rule;

/// A plan with fixed steps. A reader and a writer use one key; the node that owns it
/// first is A, and the other one is B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The key's slot moves to B, which the reader does not hear.
    SlotLeaves,
    /// A write happens while the reader's connection to A is broken.
    ConnectionBreaks,
    /// A writer follows `ASK` to B, which the reader does not hear.
    AskFollowed,
    /// A quarantine has moved to B, and A has the slot again. The reader keeps the old
    /// row. RELEASE finds the quarantine at B, by `ASK`.
    QuarantineHidden,
    /// The reader is sent to B by `ASK`, the migration is cancelled, and begins again
    /// after a write at A.
    FillByAsk,
    /// A migration copies the key to B, loses the acknowledgement, and goes on after a
    /// write at A.
    CopyLeftBehind,
    /// A writer is sent to B by `ASK`, and must not need the journal.
    WriteRedirected,
    /// B replaces A, which does not know, and the reader reaches A alone.
    PrimaryReplaced,
    /// B has the votes. Then the network parts, with A, a voter and the reader in one
    /// part.
    VoterCutOff,
    /// B replaces A, and the writer completes its write at A. Meanwhile the reader caches
    /// the old row at B.
    WriteCompletes,
    /// The same, with a writer that does not trust A any more, and dies.
    UntrustedWriterDies,
    /// Each message arrives once from each node, late.
    CopiesAreLate,
}

impl Direction {
    /// Plans that show a stale row if their rule is left out.
    pub(super) const OF_STALENESS: [Self; 10] = [
        Self::SlotLeaves,
        Self::ConnectionBreaks,
        Self::AskFollowed,
        Self::QuarantineHidden,
        Self::FillByAsk,
        Self::CopyLeftBehind,
        Self::PrimaryReplaced,
        Self::VoterCutOff,
        Self::WriteCompletes,
        Self::UntrustedWriterDies,
    ];

    /// Plans of rules whose absence costs time only.
    pub(super) const OF_COST: [Self; 2] = [Self::WriteRedirected, Self::CopiesAreLate];

    /// Returns the plan of this number; they repeat.
    pub(super) fn of(number: u64) -> Self {
        let all = Self::OF_STALENESS.into_iter().chain(Self::OF_COST);
        let all: Vec<Self> = all.collect();
        let place = number % all.len() as u64;
        all[usize::try_from(place).expect("a small number")]
    }

    /// Returns the rule that the plan needs.
    pub(super) fn rule(self) -> Rule {
        match self {
            Self::SlotLeaves => Rule::OwnLine,
            Self::ConnectionBreaks => Rule::ShardGeneration,
            Self::AskFollowed => Rule::TellAsker,
            Self::QuarantineHidden => Rule::TellAlways,
            Self::FillByAsk => Rule::ReadsStay,
            Self::CopyLeftBehind => Rule::HistoryTag,
            Self::WriteRedirected => Rule::WritesFollow,
            Self::PrimaryReplaced => Rule::Votes,
            Self::VoterCutOff => Rule::UnresolvedEpoch,
            Self::WriteCompletes => Rule::ConfirmWrites,
            Self::UntrustedWriterDies => Rule::TrustToQuarantine,
            Self::CopiesAreLate => Rule::MessageNames,
        }
    }

    /// Returns the number of replicas of the cluster's three primaries.
    pub(super) fn replicas(self) -> usize {
        match self {
            Self::PrimaryReplaced
            | Self::VoterCutOff
            | Self::WriteCompletes
            | Self::UntrustedWriterDies => 3,
            _ => 0,
        }
    }

    /// Returns the delay of packets between nodes.
    pub(super) fn bus_pace(self, rng: &mut Rng) -> Pace {
        match self {
            Self::CopiesAreLate => Pace {
                mostly: rng.u64(20..40),
                sometimes: rng.u64(40..50),
                how_often: 50,
            },
            _ => Pace::short(rng),
        }
    }

    /// Returns how often a node's copy of a message is lost, in percent.
    pub(super) fn loses_copies(self) -> u32 {
        match self {
            Self::CopiesAreLate => 0,
            // So that the reader hears a node only on its connection to it.
            _ => 100,
        }
    }
}
