//! Why Redis cannot be used, in words that say what to do next.

use aside_redis::printable;

/// There is no connection to use; the text holds no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Broken {
    reason: String,
    refused: bool,
}

impl Broken {
    pub(crate) fn because(reason: &str) -> Self {
        Self {
            reason: printable(reason),
            refused: false,
        }
    }

    /// The server is there, and cannot be used as it is.
    pub(crate) fn refused(reason: &str) -> Self {
        Self {
            refused: true,
            ..Self::because(reason)
        }
    }

    /// Returns true if the server is there, and cannot be used as it is.
    pub(crate) fn is_refusal(&self) -> bool {
        self.refused
    }
}
