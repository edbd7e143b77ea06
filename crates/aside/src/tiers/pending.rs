//! What Redis must still be told, once it can be reached.

use tokio::time::Instant;

use crate::entity::key::Key;
use crate::protocol::Token;

/// Something Redis must still be told.
#[derive(Clone, Debug)]
pub(crate) enum Pending {
    /// A write's verdict on one key.
    Release {
        key: Key,
        writer: Token,
        /// Whether the key is held until then.
        held: bool,
        /// Not before: the transaction may still commit.
        due: Option<Instant>,
    },
    /// A fill that was perhaps granted and will not come.
    Abandon { key: Key, token: Token },
    /// A kind as a whole must be forgotten, and may be held until then.
    Everything {
        kind: String,
        /// Not before: the transaction may still commit.
        due: Option<Instant>,
    },
}

impl Pending {
    /// When it may be sent, if not at once.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Self::Release { due, .. } | Self::Everything { due, .. } => *due,
            Self::Abandon { .. } => None,
        }
    }
}
