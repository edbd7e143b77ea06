//! Errors, distinguished by the caller's next step.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use aside::repository::Overloaded;
use uuid::Uuid;

/// The reason why a read or a write of tales failed.
///
/// The `Display` text may be shown to a client. The database's error is only
/// available as the source, for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TaleError {
    /// There is no such row.
    #[error("there is no such {kind}")]
    NotFound {
        /// The kind of row: `hero`, `child` or `story`.
        kind: &'static str,
    },

    /// The row has another version than the caller expected.
    #[error("the row is now at version {current}")]
    Conflict {
        /// Its current version, as read under its lock.
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

    /// Fields that cannot be stored, all of them together.
    #[error("{}", list(.0))]
    Invalid(Arc<[Invalid]>),

    /// The database is overloaded; the same call may succeed later.
    #[error("too much to do at the moment, try again later")]
    Busy,

    /// The database took longer than a load may take.
    #[error("the request took too long")]
    TooSlow,

    /// The database failed.
    #[error("the database failed")]
    Database(#[source] Failure),
}

impl From<Overloaded> for TaleError {
    fn from(why: Overloaded) -> Self {
        match why {
            Overloaded::TooSlow | Overloaded::StillLoading(_) => Self::TooSlow,
            _ => Self::Busy,
        }
    }
}

/// A field that cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Invalid {
    /// The field, such as `strengths[2]` or `audio_file.url`.
    pub field: String,
    /// The rule that it breaks.
    pub message: String,
}

/// An error of the database, shared by the waiters of one load.
#[derive(Clone, Debug)]
pub struct Failure(Arc<dyn Error + Send + Sync>);

impl Failure {
    /// Wraps an error of the database.
    pub fn new(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::shared(Arc::new(cause))
    }

    /// Wraps an error that others share.
    pub fn shared(cause: Arc<impl Error + Send + Sync + 'static>) -> Self {
        Self(cause)
    }

    /// Returns the database's error, if it is of this type.
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
