//! Named fields of a Sentinel's reply.

use std::str::FromStr;

use crate::cluster::parse_host;
use crate::error::{Error, printable};
use crate::reply::WireReply;

/// The longest text that is kept of a field.
const MAX_CHARS: usize = 255;

/// Names and values by turns, which are a map in RESP3.
pub(super) struct Fields<'a> {
    command: &'static str,
    pairs: &'a [WireReply],
}

impl<'a> Fields<'a> {
    pub(super) fn of(command: &'static str, reply: &'a WireReply) -> Result<Self, Error> {
        let pairs = items(command, reply)?;
        Ok(Self { command, pairs })
    }

    /// Returns the text of a field.
    pub(super) fn text(&self, field: &'static str) -> Result<&'a str, Error> {
        let mut pairs = self.pairs.chunks_exact(2);
        let found = pairs.find(|pair| text(&pair[0]) == Some(field));
        let value = found.and_then(|pair| text(&pair[1]));
        value.ok_or_else(|| self.unexpected(field))
    }

    pub(super) fn number<N: FromStr>(&self, field: &'static str) -> Result<N, Error> {
        let parsed = self.text(field)?.parse();
        parsed.map_err(|_| self.unexpected(field))
    }

    pub(super) fn host(&self, field: &'static str) -> Result<String, Error> {
        let host = parse_host(self.text(field)?).flatten();
        host.ok_or_else(|| self.unexpected(field))
    }

    pub(super) fn port(&self, field: &'static str) -> Result<u16, Error> {
        match self.number(field)? {
            0 => Err(self.unexpected(field)),
            port => Ok(port),
        }
    }

    /// Returns a run id.
    pub(super) fn id(&self, field: &'static str) -> Result<String, Error> {
        self.text(field).map(printed)
    }

    fn unexpected(&self, field: &'static str) -> Error {
        let command = self.command;
        Error::Unexpected { command, field }
    }
}

/// Returns the parts of a reply, or the Sentinel's refusal.
pub(super) fn items<'a>(
    command: &'static str,
    reply: &'a WireReply,
) -> Result<&'a [WireReply], Error> {
    match reply {
        WireReply::Array(items) => Ok(items),
        other => Err(match other.refusal() {
            Some(refusal) => Error::Refused { command, refusal },
            None => Error::Unexpected {
                command,
                field: "list",
            },
        }),
    }
}

pub(super) fn text(reply: &WireReply) -> Option<&str> {
    match reply {
        WireReply::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        WireReply::Text(text) => Some(text),
        _ => None,
    }
}

/// Returns a text of limited length that can be logged.
pub(super) fn printed(text: &str) -> String {
    printable(&text.chars().take(MAX_CHARS).collect::<String>())
}
