//! Secrets: texts that must not be printed.

use std::fmt;

/// A text that is never printed: a password, a token, or an address that may
/// contain either.
///
/// It has no `Display`, and `Debug` shows only that it exists, so a secret in a
/// logged struct stays secret. Reading the text takes an explicit call, which
/// is easy to search for.
///
/// ```
/// use aside_redis::Secret;
///
/// let token = Secret::new("open sesame");
/// assert_eq!(token.expose(), "open sesame");
/// assert_eq!(format!("{token:?}"), "Secret(...)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not even the length, which would make a password easier to guess.
        formatter.write_str("Secret(...)")
    }
}
