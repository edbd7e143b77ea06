//! RESP3 as it travels: calls and replies that are written, replies that are cut
//! out of what has arrived. A call is read as a reply that is an array.
//!
//! A reply is looked over before it is read: its headers alone, and each of
//! them once, in however many pieces it arrives. Once it is there as a whole
//! it is split off what has arrived, and its strings stay where they are.

use bytes::{Bytes, BytesMut};

use crate::call::Call;
use crate::error::printable;
use crate::reply::WireReply;

/// A buffer that has grown beyond this for a large value is let go.
pub(crate) const MOST_KEPT: usize = 1024 * 1024;

/// Deeper than any reply to what is asked here.
const DEEPEST: usize = 16;

/// Longer than any line that a server sends.
const LONGEST_LINE: usize = 64 * 1024;

/// The longest string that a server can hold.
const LONGEST_STRING: usize = 512 * 1024 * 1024;

/// What is read at once, and the most that is made room for in advance.
const ROOM: (usize, usize) = (64 * 1024, 4 * 1024 * 1024);

/// With less room than this, what is read at once is hardly worth the call.
const LEAST_ROOM: usize = 16 * 1024;

/// Which strings are received.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest string that is of use. Longer ones are cut.
    pub max_string_bytes: usize,
    /// How much is kept of a string that is cut.
    pub cut_bytes: usize,
}

/// No Redis sends what has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Redis sends this")]
pub struct Malformed;

/// What a server sends.
#[derive(Clone, Debug)]
pub enum Sent {
    /// The reply to a call.
    Reply(WireReply),
    /// Of its own accord: what kind of message, and the rest of it.
    Push(Vec<WireReply>),
}

/// Writes a call as a server reads it.
pub fn write_call(call: &Call<'_>, into: &mut Vec<u8>) {
    write_header(b'*', call.count(), into);
    call.words(|word| write_string(word, into));
}

fn write_string(bytes: &[u8], into: &mut Vec<u8>) {
    write_header(b'$', bytes.len(), into);
    into.extend_from_slice(bytes);
    into.extend_from_slice(b"\r\n");
}

/// Without the machinery of `fmt`: there is one for every key of an MGET.
fn write_header(mark: u8, number: usize, into: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let (mut rest, mut begin) = (number, digits.len());
    loop {
        begin -= 1;
        // A digit is below ten.
        #[allow(clippy::cast_possible_truncation)]
        let digit = (rest % 10) as u8;
        digits[begin] = b'0' + digit;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    into.push(mark);
    into.extend_from_slice(&digits[begin..]);
    into.extend_from_slice(b"\r\n");
}

impl Sent {
    /// Writes it as a client reads it.
    pub fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Reply(reply) => write_reply(reply, into),
            Self::Push(items) => write_items(b'>', items, into),
        }
    }

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

fn write_reply(reply: &WireReply, into: &mut Vec<u8>) {
    match reply {
        WireReply::Nil => into.extend_from_slice(b"_\r\n"),
        WireReply::Int(number) => write_line(b':', &number.to_string(), into),
        WireReply::Bytes(bytes) | WireReply::Cut(bytes) => write_string(bytes, into),
        WireReply::Text(text) => write_line(b'+', text, into),
        WireReply::Error(code) => write_line(b'-', code, into),
        WireReply::Array(items) => write_items(b'*', items, into),
    }
}

fn write_items(mark: u8, items: &[WireReply], into: &mut Vec<u8>) {
    write_header(mark, items.len(), into);
    items.iter().for_each(|item| write_reply(item, into));
}

fn write_line(mark: u8, text: &str, into: &mut Vec<u8>) {
    into.push(mark);
    into.extend_from_slice(text.as_bytes());
    into.extend_from_slice(b"\r\n");
}

/// What a string that is too large is known by in what has arrived: a mark that
/// no server sends.
const CUT: u8 = b'^';

/// The most parts of one reply: more than any that is asked for here has.
const MOST_PARTS: usize = 1024 * 1024;

/// How much all strings of a reply may have beyond what one may have.
const MOST_BESIDE: usize = 64 * 1024 * 1024;

/// Cuts what arrives into what was sent.
///
/// Nothing is received because a server says that it comes: a string that nobody
/// could use is dropped as it arrives, but for its beginning, and a reply without
/// end ends the connection.
#[derive(Debug)]
pub struct Incoming {
    arrived: BytesMut,
    limits: Limits,
    /// How many parts of the reply have been looked over.
    parts: usize,
    /// How much of a string that is too large is still to be dropped.
    skipping: usize,
    /// How far the next reply has been looked over.
    seen: usize,
    /// How many parts of it have not been.
    unseen: usize,
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
            seen: 0,
            unseen: 1,
            expected: 0,
        }
    }

    /// Returns the buffer to append arriving bytes to.
    pub fn room(&mut self) -> &mut BytesMut {
        let free = self.arrived.capacity() - self.arrived.len();
        if free < self.expected.clamp(LEAST_ROOM, ROOM.1) {
            self.arrived.reserve(self.expected.clamp(ROOM.0, ROOM.1));
        }
        &mut self.arrived
    }

    /// Returns the next reply or push that has arrived as a whole.
    ///
    /// # Errors
    ///
    /// What arrived is not RESP3, or a reply is too large. Nothing that arrives
    /// later can be understood.
    pub fn next_sent(&mut self) -> Result<Option<Sent>, Malformed> {
        // A string that is too large is told of before all of it has arrived,
        // and dropped on the way to whatever comes after it.
        while self.skip() && self.unseen > 0 {
            let Some(part) = Part::at(&self.arrived, self.seen, self.limits)? else {
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
                self.arrived[self.seen] = CUT;
                self.skipping = part.end - end;
            }
            self.seen = end;
            self.unseen = (self.unseen - 1).saturating_add(part.inside);
            self.parts += 1;
            // What is cut leaves its beginning.
            let most = self.most_together().saturating_mul(2);
            if MOST_PARTS < self.unseen.saturating_add(self.parts) || most < self.seen {
                return Err(Malformed);
            }
        }
        if self.unseen > 0 {
            return Ok(None);
        }
        let mut whole = Whole {
            bytes: self.arrived.split_to(self.seen).freeze(),
            at: 0,
            limits: self.limits,
        };
        if self.seen > MOST_KEPT && self.arrived.is_empty() {
            self.arrived = BytesMut::new();
        }
        (self.seen, self.unseen, self.parts) = (0, 1, 0);
        whole.sent().map(Some)
    }

    /// Whether a string is one that nobody could use, by itself or together with
    /// what the reply has already.
    fn is_too_large(&self, part: &Part) -> bool {
        let length = part.end - part.string;
        let Limits {
            max_string_bytes,
            cut_bytes,
        } = self.limits;
        // There is as much of it as is kept, and its line end.
        cut_bytes + 2 < length && (max_string_bytes + 2 < length || self.most_together() < part.end)
    }

    /// Returns how many bytes all of a reply may have before it is cut.
    fn most_together(&self) -> usize {
        self.limits.max_string_bytes.saturating_add(MOST_BESIDE)
    }

    /// Drops what has arrived of a string that is too large; whether all has.
    fn skip(&mut self) -> bool {
        let dropped = self.skipping.min(self.arrived.len() - self.seen);
        if dropped > 0 {
            self.arrived.copy_within(self.seen + dropped.., self.seen);
            self.arrived.truncate(self.arrived.len() - dropped);
            self.skipping -= dropped;
            self.expected = 0;
        }
        self.skipping == 0
    }
}

/// One header, and the string that belongs to it, if one does.
struct Part {
    mark: u8,
    /// Where the line is, without its mark and its end.
    line: (usize, usize),
    /// Where the string begins, if there is one.
    string: usize,
    /// Where the next part begins.
    end: usize,
    /// How many parts are inside this one.
    inside: usize,
    nil: bool,
}

impl Part {
    /// The part that begins there; it may not be there as a whole.
    fn at(bytes: &[u8], begin: usize, limits: Limits) -> Result<Option<Self>, Malformed> {
        let Some((mark, rest)) = bytes.get(begin..).and_then(<[u8]>::split_first) else {
            return Ok(None);
        };
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            let plausible = rest.len() < LONGEST_LINE && b"+-:_,#($=!*~>%".contains(mark);
            return if plausible { Ok(None) } else { Err(Malformed) };
        };
        let Some((b'\r', text)) = rest[..length].split_last() else {
            return Err(Malformed);
        };
        let after = begin + length + 2;
        let mut part = Self {
            mark: *mark,
            line: (begin + 1, begin + 1 + text.len()),
            string: after,
            end: after,
            inside: 0,
            nil: text == b"-1",
        };
        match mark {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' => part.nil = false,
            b'_' => part.nil = true,
            b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' if part.nil => {}
            b'$' | b'=' | b'!' => part.end = after + number(text, LONGEST_STRING)? + 2,
            _ if *mark == CUT => part.end = after + limits.cut_bytes,
            b'*' | b'~' | b'>' => part.inside = number(text, usize::MAX)?,
            b'%' => part.inside = number(text, usize::MAX / 2)? * 2,
            _ => return Err(Malformed),
        }
        Ok(Some(part))
    }
}

fn number(text: &[u8], most: usize) -> Result<usize, Malformed> {
    let number = text.iter().try_fold(0_usize, |number, digit| {
        let digit = digit
            .is_ascii_digit()
            .then_some(usize::from(digit & 0x0f))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number
        .filter(|number| !text.is_empty() && *number <= most)
        .ok_or(Malformed)
}

/// Something that has arrived as a whole.
struct Whole {
    bytes: Bytes,
    at: usize,
    limits: Limits,
}

impl Whole {
    fn sent(&mut self) -> Result<Sent, Malformed> {
        if self.bytes.first() == Some(&b'>') {
            let part = self.part()?;
            return self.inside(&part, DEEPEST).map(Sent::Push);
        }
        self.reply(DEEPEST).map(Sent::Reply)
    }

    fn part(&mut self) -> Result<Part, Malformed> {
        let part = Part::at(&self.bytes, self.at, self.limits)?.ok_or(Malformed)?;
        self.at = part.end;
        Ok(part)
    }

    fn inside(&mut self, part: &Part, depth: usize) -> Result<Vec<WireReply>, Malformed> {
        // Each of them has arrived, so there are not too many for memory.
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
            b'-' => WireReply::Error(code(&line())),
            b'!' => WireReply::Error(code(&String::from_utf8_lossy(&string()))),
            CUT => WireReply::Cut(self.bytes.slice(part.string..part.end)),
            // After three letters that say what kind of text it is.
            b'=' => WireReply::Bytes(string().get(4..).ok_or(Malformed)?.to_vec().into()),
            // A push is nothing that stands inside of something.
            b'>' => return Err(Malformed),
            _ => WireReply::Text(line().into_owned()),
        })
    }
}

/// The longest code of an error that is kept; real ones have a dozen letters.
const LONGEST_CODE: usize = 32;

/// A server's own words may quote what was sent; its code does not. It is shown
/// in logs, so what is no letter of a code is escaped.
fn code(error: &str) -> String {
    let code = error.split_whitespace().next().unwrap_or("ERR");
    let kept = code.chars().take(LONGEST_CODE).collect::<String>();
    printable(&kept)
}

#[cfg(test)]
mod tests;
