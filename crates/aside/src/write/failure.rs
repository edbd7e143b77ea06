//! A commit that failed, or was refused without Redis.

use super::Unacknowledged;

/// A COMMIT that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCommit<E> {
    /// The database's error.
    pub error: E,
    /// True if the transaction is certainly rolled back. If in doubt, false: its
    /// keys are then read from the database for `CACHE_QUARANTINE_TTL_MS`.
    pub is_rolled_back: bool,
}

/// The policy for a write whose keys Redis did not acknowledge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutOfReach {
    /// It stores them in the journal, in the transaction of the write.
    #[default]
    Journal,
    /// It fails, and is rolled back. For rows for which an old value is worse
    /// than no write.
    Refuse,
    /// It stores nothing. Another instance may serve the old value until the
    /// writer reaches Redis. If the writer dies first, it may do so until the
    /// TTL.
    Forget,
}

impl OutOfReach {
    /// Returns true if there are rows to insert, or an error if the policy refuses
    /// the write.
    #[doc(hidden)]
    pub fn is_to_record<E>(self, left: &Unacknowledged<'_>) -> Result<bool, CommitError<E>> {
        match self {
            Self::Refuse if !left.is_acknowledged() => Err(CommitError::Refused),
            Self::Journal | Self::Refuse => Ok(left.journal_entries().next().is_some()),
            Self::Forget => Ok(false),
        }
    }
}

/// The reason why a transaction was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<E> {
    /// [`OutOfReach::Refuse`], and Redis did not acknowledge these keys. Try
    /// again when Redis is available.
    #[error("Redis is out of reach, and this write may not be made without it")]
    Refused,
    /// The database's error. If the journal could not be written, the
    /// transaction was rolled back.
    #[error(transparent)]
    Database(#[from] E),
}
