//! Redirections: a node's reply to a call for a slot that another node serves.

use std::fmt;

use super::{place, slot};

/// An error `MOVED` or `ASK`: the node did nothing, and names another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Whether the slot has moved, or is moving.
    pub kind: RedirectKind,
    /// The slot of the key.
    pub slot: u16,
    /// The host of the other node; `None` if it is the host of the node that sent
    /// this.
    pub host: Option<String>,
    /// The port of the other node.
    pub port: u16,
}

/// The kinds of redirection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    /// The slot belongs to the other node.
    Moved,
    /// The slot is moving to the other node, and the key is not here. Only a call
    /// behind [`asking`](crate::Call::asking) is taken there.
    Ask,
}

impl RedirectKind {
    /// Returns the first word of the error.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Moved => "MOVED",
            Self::Ask => "ASK",
        }
    }
}

impl Redirect {
    /// Parses an error's line, without its mark. `None` for any other error.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let kind = match words.next()? {
            "MOVED" => RedirectKind::Moved,
            "ASK" => RedirectKind::Ask,
            _ => return None,
        };
        let slot = slot::parse(words.next()?)?;
        let (host, port) = place::split(words.next()?)?;
        let is_whole = words.next().is_none() && port != 0;
        is_whole.then_some(Self {
            kind,
            slot,
            host,
            port,
        })
    }
}

impl fmt::Display for Redirect {
    /// Writes the error's line, as [`parse`](Redirect::parse) reads it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or_default();
        let (code, slot, port) = (self.kind.code(), self.slot, self.port);
        write!(formatter, "{code} {slot} {host}:{port}")
    }
}
