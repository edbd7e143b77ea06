//! Text that must not be printed.

use std::fmt;

/// A text that is never printed: a password, a token, an address that may
/// hold either.
///
/// There is no `Display`, and `Debug` says only that something is there, so a
/// secret inside a logged struct stays a secret. Whoever needs the text asks
/// for it by name, which is easy to search for.
///
/// ```
/// use aside::Secret;
///
/// let token = Secret::new("open sesame");
/// assert_eq!(token.expose(), "open sesame");
/// assert_eq!(format!("{token:?}"), "Secret(...)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` out of every log and message.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not even its length, which narrows a password down.
        formatter.write_str("Secret(...)")
    }
}
