//! The buffer that bytes arrive in, and replies are split off.

use bytes::{Bytes, BytesMut};

use super::part::{CUT, Part};
use super::{Limits, MAX_KEPT_BUFFER_BYTES, Malformed, Sent};
use crate::cluster::Redirect;
use crate::error::Refusal;
use crate::reply::WireReply;

/// Deeper than the replies of any command.
pub(super) const MAX_DEPTH: usize = 16;

/// The least room that one read is given, and the most that is reserved ahead of
/// the bytes of a large string.
pub(super) const BUFFER_BYTES: (usize, usize) = (64 * 1024, 4 * 1024 * 1024);

/// With less room than this, a read is hardly worth its system call.
const MIN_ROOM_BYTES: usize = 16 * 1024;

/// More parts than a reply to any command of a cache has.
const MAX_PARTS: usize = 1024 * 1024;

/// How many bytes a reply may have beyond its longest string.
pub(super) const MAX_FURTHER_BYTES: usize = 64 * 1024 * 1024;

/// Splits the bytes that arrive into replies and pushes.
#[derive(Debug)]
pub struct Incoming {
    arrived: BytesMut,
    limits: Limits,
    /// How many parts of the next reply are scanned.
    parts: usize,
    /// How many bytes of a string that is cut are still to be dropped.
    skipping: usize,
    /// How many bytes of the next reply are scanned.
    scanned: usize,
    /// How many parts of it are not scanned yet.
    unscanned: usize,
    /// How many bytes of the next part are still to come, as far as is known.
    expected: usize,
}

impl Incoming {
    /// Starts with nothing that has arrived.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            arrived: BytesMut::new(),
            limits,
            parts: 0,
            skipping: 0,
            scanned: 0,
            unscanned: 1,
            expected: 0,
        }
    }

    /// Returns the buffer to append arriving bytes to, with room for a read.
    pub fn room(&mut self) -> &mut BytesMut {
        let free = self.arrived.capacity() - self.arrived.len();
        let (min, max) = BUFFER_BYTES;
        if free < self.expected.clamp(MIN_ROOM_BYTES, max) {
            self.arrived.reserve(self.expected.clamp(min, max));
        }
        &mut self.arrived
    }

    /// Returns the next reply or push that has arrived completely.
    ///
    /// A string that is cut counts as complete with its beginning, so that its
    /// reader does not wait for the rest.
    ///
    /// # Errors
    ///
    /// The bytes are not RESP3, or the reply is too large. Nothing that arrives
    /// later can be understood.
    pub fn next_sent(&mut self) -> Result<Option<Sent>, Malformed> {
        while self.skip() && self.unscanned > 0 {
            let Some(part) = Part::at(&self.arrived, self.scanned, self.limits)? else {
                return Ok(None);
            };
            let cut = self.is_too_large(&part);
            let end = match cut {
                true => part.string + self.limits.cut_bytes,
                false => part.end,
            };
            self.expected = end.saturating_sub(self.arrived.len());
            if part.mark == CUT {
                return Err(Malformed);
            }
            if self.expected > 0 {
                return Ok(None);
            }
            if cut {
                self.arrived[self.scanned] = CUT;
                self.skipping = part.end - end;
            }
            self.scanned = end;
            self.unscanned = (self.unscanned - 1).saturating_add(part.inside);
            self.parts += 1;
            // Beginnings of strings that are cut are kept beyond the limit.
            let max = self.max_reply_bytes().saturating_mul(2);
            if MAX_PARTS < self.unscanned.saturating_add(self.parts) || max < self.scanned {
                return Err(Malformed);
            }
        }
        if self.unscanned > 0 {
            return Ok(None);
        }
        let mut whole = Whole {
            bytes: self.arrived.split_to(self.scanned).freeze(),
            at: 0,
            limits: self.limits,
        };
        if self.scanned > MAX_KEPT_BUFFER_BYTES && self.arrived.is_empty() {
            self.arrived = BytesMut::new();
        }
        (self.scanned, self.unscanned, self.parts) = (0, 1, 0);
        whole.sent().map(Some)
    }

    /// Returns true if the arrived bytes begin with an alert of TLS, as a server sends
    /// it to a client that does not begin with a handshake.
    pub(crate) fn is_tls(&self) -> bool {
        self.arrived.starts_with(&[0x15, 0x03])
    }

    /// Returns true if a string is too large, by itself or after the bytes that
    /// the reply has already.
    fn is_too_large(&self, part: &Part) -> bool {
        let length = part.end - part.string;
        let Limits {
            max_string_bytes,
            cut_bytes,
        } = self.limits;
        // A string of `cut_bytes` and its line end is as long as its beginning.
        cut_bytes + 2 < length
            && (max_string_bytes + 2 < length || self.max_reply_bytes() < part.end)
    }

    /// Returns the size of a reply beyond which its strings are cut.
    fn max_reply_bytes(&self) -> usize {
        let longest = self.limits.max_string_bytes;
        longest.saturating_add(MAX_FURTHER_BYTES)
    }

    /// Drops the arrived bytes of a string that is cut. Returns true if none of
    /// them are still to come.
    fn skip(&mut self) -> bool {
        let dropped = self.skipping.min(self.arrived.len() - self.scanned);
        if dropped > 0 {
            let (from, rest) = (self.scanned + dropped, self.arrived.len() - dropped);
            self.arrived.copy_within(from.., self.scanned);
            self.arrived.truncate(rest);
            self.skipping -= dropped;
            self.expected = 0;
        }
        self.skipping == 0
    }

    /// Returns how many bytes are held, and how many there is room for.
    #[cfg(test)]
    pub(super) fn buffered(&self) -> (usize, usize) {
        (self.arrived.len(), self.arrived.capacity())
    }
}

/// The bytes of one reply or push, all of which have arrived.
struct Whole {
    bytes: Bytes,
    at: usize,
    limits: Limits,
}

impl Whole {
    fn sent(&mut self) -> Result<Sent, Malformed> {
        if self.bytes.first() == Some(&b'>') {
            let part = self.part()?;
            return self.inside(&part, MAX_DEPTH).map(Sent::Push);
        }
        self.reply(MAX_DEPTH).map(Sent::Reply)
    }

    fn part(&mut self) -> Result<Part, Malformed> {
        let part = Part::at(&self.bytes, self.at, self.limits)?.ok_or(Malformed)?;
        self.at = part.end;
        Ok(part)
    }

    fn inside(&mut self, part: &Part, depth: usize) -> Result<Vec<WireReply>, Malformed> {
        // Each of them has arrived, so their number is below `MAX_PARTS`.
        let mut items = Vec::with_capacity(part.inside);
        for _ in 0..part.inside {
            items.push(self.reply(depth)?);
        }
        Ok(items)
    }

    fn reply(&mut self, depth: usize) -> Result<WireReply, Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        let part = self.part()?;
        if part.nil {
            return Ok(WireReply::Nil);
        }
        let line = || String::from_utf8_lossy(&self.bytes[part.line.0..part.line.1]);
        let string = || self.bytes.slice(part.string..part.end - 2);
        Ok(match part.mark {
            b'$' => WireReply::Bytes(string()),
            b'*' | b'~' | b'%' => WireReply::Array(self.inside(&part, depth)?),
            b':' => WireReply::Int(line().parse().map_err(|_| Malformed)?),
            b'-' => error(&line()),
            b'!' => error(&String::from_utf8_lossy(&string())),
            CUT => WireReply::Cut(self.bytes.slice(part.string..part.end)),
            // The first four bytes are the kind of text, such as `txt:`.
            b'=' => WireReply::Bytes(string().get(4..).ok_or(Malformed)?.to_vec().into()),
            // A push inside of a reply.
            b'>' => return Err(Malformed),
            _ => WireReply::Text(line().into_owned()),
        })
    }
}

/// Returns an error. A redirection is kept whole, because its caller needs the
/// node that it names.
fn error(line: &str) -> WireReply {
    if let Some(redirect) = Redirect::parse(line) {
        return WireReply::Redirect(redirect);
    }
    WireReply::Error(Refusal::parse(line))
}
