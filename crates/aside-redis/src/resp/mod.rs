//! RESP3 as it travels: calls and replies are written, and cut out of the bytes
//! that arrive. To a reader, a call is a reply that is an array.
//!
//! A reply is scanned before it is read: only its headers, and each of them once,
//! in however many pieces it arrives. When all of it is there, it is split off the
//! buffer, and its strings stay in place: they are slices of the buffer.
//!
//! No memory is taken because a server announces that it will send something. A
//! string beyond the [`Limits`] is dropped as it arrives, except its beginning, and
//! a reply without an end ends the connection.

mod write;
mod part;
mod incoming;

use bytes::Bytes;

pub use self::incoming::Incoming;
pub use self::write::write_call;
use crate::reply::WireReply;

/// A buffer that a large value made larger than this is freed after it.
pub(crate) const MAX_KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// Which strings are received.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The length of the longest string that is of use. Longer ones are cut.
    pub max_string_bytes: usize,
    /// How many bytes are kept of a string that is cut.
    pub cut_bytes: usize,
}

impl Default for Limits {
    /// Every string that a server can hold: 512 MiB.
    fn default() -> Self {
        Self {
            max_string_bytes: part::MAX_SERVER_STRING_BYTES,
            cut_bytes: 0,
        }
    }
}

/// The bytes are not RESP3, or a reply is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Redis sends this")]
pub struct Malformed;

/// One reply or one push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The reply to a call.
    Reply(WireReply),
    /// A push, which no call asked for: its kind, such as `message`, and the rest.
    Push(Vec<WireReply>),
}

impl Sent {
    /// Returns the words of a call, if it is one.
    #[must_use]
    pub fn into_words(self) -> Option<Vec<Bytes>> {
        let Self::Reply(WireReply::Array(words)) = self else {
            return None;
        };
        let word = |word| match word {
            WireReply::Bytes(word) => Some(word),
            _ => None,
        };
        words.into_iter().map(word).collect()
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz;
