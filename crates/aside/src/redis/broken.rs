//! Connection failures, with advice for the operator.

use aside_redis::printable;

/// No connection can be used; the text contains no secret.
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

    /// Creates an error for a server that is up but unusable.
    pub(crate) fn refused(reason: &str) -> Self {
        Self {
            refused: true,
            ..Self::because(reason)
        }
    }

    /// Adds the server's product and version.
    pub(crate) fn of(self, product: &str) -> Self {
        Self {
            reason: printable(&format!("{product}: {}", self.reason)),
            ..self
        }
    }

    /// Returns true if the server is up but unusable.
    pub(crate) fn is_refusal(&self) -> bool {
        self.refused
    }
}
