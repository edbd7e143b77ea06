//! The steps of a write at which an instance can be told to die.

use std::process::abort;
use std::sync::atomic::{AtomicU8, Ordering};

use tale_generator::sql::CommitStep;

/// The step at which the next write ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    AfterQuarantine = 1,
    BeforeCommit,
    AfterCommit,
    BeforeRelease,
}

/// The step at which this process dies; zero for none.
static DEADLY: AtomicU8 = AtomicU8::new(0);

impl Step {
    pub(crate) const ALL: [Self; 4] = [
        Self::AfterQuarantine,
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeRelease,
    ];

    /// Returns the history's name for a death at this step.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::AfterQuarantine => "instance died after a quarantine",
            Self::BeforeCommit => "instance died before a commit",
            Self::AfterCommit => "instance died after a commit",
            Self::BeforeRelease => "instance died before a release",
        }
    }

    /// Returns the command that makes a child die there.
    pub(crate) fn command(self) -> String {
        format!("die {}", self as u8)
    }

    pub(crate) fn of_command(command: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.command() == command)
    }

    /// Makes this process die there.
    pub(crate) fn arm(self) {
        DEADLY.store(self as u8, Ordering::SeqCst);
    }

    /// Aborts the process if it is armed for this step.
    pub(crate) fn reach(self) {
        if DEADLY.load(Ordering::SeqCst) == self as u8 {
            // No destructor runs, and no message is sent.
            abort();
        }
    }
}

/// Maps a step of a commit to a step of this module.
pub(crate) fn at_commit(step: CommitStep) {
    match step {
        CommitStep::Quarantined => Step::AfterQuarantine.reach(),
        CommitStep::Committing => Step::BeforeCommit.reach(),
        CommitStep::Committed => Step::AfterCommit.reach(),
    }
}
