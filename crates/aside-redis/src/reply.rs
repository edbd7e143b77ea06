//! One reply.

use bytes::Bytes;

use crate::cluster::Redirect;
use crate::error::Refusal;

/// A reply to one call, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireReply {
    /// Nothing is there.
    Nil,
    /// A number.
    Int(i64),
    /// A string, as a slice of the buffer it arrived in.
    Bytes(Bytes),
    /// The beginning of a string that is longer than [`Limits`](crate::Limits)
    /// allow.
    Cut(Bytes),
    /// A status, such as `OK`.
    Text(String),
    /// An error.
    Error(Refusal),
    /// The error by which a node of a cluster names another one.
    Redirect(Redirect),
    /// An array or a set; of a map, its keys and values by turns.
    Array(Vec<Self>),
}

impl WireReply {
    /// Returns the first word of an error, redirections included.
    #[must_use]
    pub fn error_code(&self) -> Option<&str> {
        match self {
            Self::Error(refusal) => Some(refusal.code()),
            Self::Redirect(redirect) => Some(redirect.kind.code()),
            _ => None,
        }
    }

    /// Returns an error; of a redirection, its code alone.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Error(refusal) => Some(refusal.clone()),
            Self::Redirect(redirect) => Some(Refusal::parse(redirect.kind.code())),
            _ => None,
        }
    }
}
