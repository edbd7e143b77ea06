//! Why a connection cannot be used.

use std::io;

/// The connection could not be opened, or is gone; the text holds no secret.
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

    /// Whether the server is there, and cannot be used as it is.
    pub(crate) fn is_refusal(&self) -> bool {
        self.refused
    }
}

/// A text without control characters: a log shows it, and a server may have
/// sent it.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            plain if !plain.is_control() => shown.push(plain),
            control => shown.extend(control.escape_debug()),
        }
    }
    shown
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::because(&error.to_string())
    }
}
