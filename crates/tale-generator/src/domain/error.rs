//! What can go wrong, by what the caller does next.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// Why a read or a write of tales failed.
///
/// The `Display` text may be shown to a client: what went wrong inside the
/// database is reachable as the source only, for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TaleError {
    /// There is no such row.
    #[error("there is no such {kind}")]
    NotFound {
        /// The kind of row: `hero`, `child` or `story`.
        kind: &'static str,
    },

    /// The row has another version than the caller expected.
    #[error("the row has moved on to version {current}")]
    Conflict {
        /// The version it has now, as read under its lock.
        current: u64,
    },

    /// The row's id is taken.
    #[error("there already is a {kind} with this id")]
    Exists {
        /// The kind of row.
        kind: &'static str,
    },

    /// A story names a child that does not exist.
    #[error("there is no child with the id {0}")]
    UnknownChild(Uuid),

    /// A story names a hero that does not exist.
    #[error("there is no hero with the id {0}")]
    UnknownHero(Uuid),

    /// Fields that cannot be stored as they are, all of them at once.
    #[error("{}", list(.0))]
    Invalid(Arc<[Invalid]>),

    /// A list takes more than is held of one at a time.
    #[error("the list is too large to be read as a whole")]
    TooLarge,

    /// The database has too much to do; the same call may succeed later.
    #[error("too much to do at the moment, try again later")]
    Busy,

    /// The database failed.
    #[error("the database failed")]
    Database(#[source] Failure),
}

/// One field that cannot be stored as it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Invalid {
    /// The field, as in `strengths[2]` or `audio_file.url`.
    pub field: String,
    /// What is expected of it.
    pub message: String,
}

/// What a database said, shared among the waiters of one load.
#[derive(Clone, Debug)]
pub struct Failure(Arc<dyn Error + Send + Sync>);

impl Failure {
    /// Wraps what the database said.
    pub fn new(cause: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(cause))
    }

    /// What the database said, if it is of this type.
    #[must_use]
    pub fn downcast_ref<T: Error + 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

fn list(problems: &[Invalid]) -> String {
    problems
        .iter()
        .map(|problem| format!("{}: {}", problem.field, problem.message))
        .collect::<Vec<_>>()
        .join("; ")
}
