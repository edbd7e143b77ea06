//! RESP3 as it travels: calls that are written, replies that are cut out of
//! what has arrived.
//!
//! A reply is looked over before it is read: its headers alone, and each of
//! them once, in however many pieces it arrives. Once it is there as a whole
//! it is split off what has arrived, and its strings stay where they are.

use bytes::{Bytes, BytesMut};

use super::MOST_KEPT;
use crate::shared::wire_form::{Call, WireReply};

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

/// What no Redis sends.
#[derive(Debug)]
pub(super) struct Malformed;

/// What a server sends.
#[derive(Debug)]
pub(super) enum Sent {
    Reply(WireReply),
    /// Of its own accord: what kind of message, and the rest of it.
    Push(Vec<WireReply>),
}

/// Writes a call as a server reads it.
pub(super) fn write(call: &Call<'_>, into: &mut Vec<u8>) {
    write_header(b'*', call.count(), into);
    call.words(|word| {
        write_header(b'$', word.len(), into);
        into.extend_from_slice(word);
        into.extend_from_slice(b"\r\n");
    });
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

/// Cuts what arrives into what was sent.
#[derive(Debug)]
pub(super) struct Incoming {
    arrived: BytesMut,
    /// How far the next reply has been looked over.
    seen: usize,
    /// How many parts of it have not been.
    unseen: usize,
    /// How many bytes of the next part are still to come, as far as is known.
    expected: usize,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self {
            arrived: BytesMut::new(),
            seen: 0,
            unseen: 1,
            expected: 0,
        }
    }

    /// Where to put what arrives next.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        let free = self.arrived.capacity() - self.arrived.len();
        if free < self.expected.clamp(LEAST_ROOM, ROOM.1) {
            self.arrived.reserve(self.expected.clamp(ROOM.0, ROOM.1));
        }
        &mut self.arrived
    }

    /// The next that has arrived as a whole.
    pub(super) fn next(&mut self) -> Result<Option<Sent>, Malformed> {
        while self.unseen > 0 {
            let Some(part) = Part::at(&self.arrived, self.seen)? else {
                return Ok(None);
            };
            self.expected = part.end.saturating_sub(self.arrived.len());
            if self.expected > 0 {
                return Ok(None);
            }
            self.seen = part.end;
            self.unseen = (self.unseen - 1).saturating_add(part.inside);
        }
        let mut whole = Whole {
            bytes: self.arrived.split_to(self.seen).freeze(),
            at: 0,
        };
        if self.seen > MOST_KEPT && self.arrived.is_empty() {
            self.arrived = BytesMut::new();
        }
        (self.seen, self.unseen) = (0, 1);
        whole.sent().map(Some)
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
    fn at(bytes: &[u8], begin: usize) -> Result<Option<Self>, Malformed> {
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
        let part = Part::at(&self.bytes, self.at)?.ok_or(Malformed)?;
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
            // After three letters that say what kind of text it is.
            b'=' => WireReply::Bytes(string().get(4..).ok_or(Malformed)?.to_vec().into()),
            // A push is nothing that stands inside of something.
            b'>' => return Err(Malformed),
            _ => WireReply::Text(line().into_owned()),
        })
    }
}

/// A server's own words may quote what was sent; its code does not.
fn code(error: &str) -> String {
    let code = error.split_whitespace().next();
    code.unwrap_or("ERR").to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that arrives in such pieces, up to what is malformed.
    fn cut(pieces: &[&[u8]]) -> Vec<String> {
        let (mut incoming, mut cut) = (Incoming::new(), Vec::new());
        for piece in pieces {
            incoming.room().extend_from_slice(piece);
            loop {
                match incoming.next() {
                    Ok(Some(sent)) => cut.push(format!("{sent:?}")),
                    Ok(None) => break,
                    Err(Malformed) => {
                        cut.push("malformed".to_owned());
                        return cut;
                    }
                }
            }
        }
        cut
    }

    const MANY: &[u8] = b"+OK\r\n:-7\r\n$3\r\na\r\n\r\n*3\r\n$1\r\nx\r\n_\r\n$-1\r\n\
        %1\r\n+k\r\n*0\r\n>2\r\n+message\r\n$2\r\nhi\r\n-ERR what `secret` is\r\n=5\r\ntxt:a\r\n\
        !6\r\nOOM no\r\n#t\r\n*-1\r\n";

    #[test]
    fn every_kind_of_reply_is_read_and_of_an_error_its_code() {
        assert_eq!(
            cut(&[MANY]),
            [
                r#"Reply(Text("OK"))"#,
                "Reply(Int(-7))",
                r#"Reply(Bytes(b"a\r\n"))"#,
                r#"Reply(Array([Bytes(b"x"), Nil, Nil]))"#,
                r#"Reply(Array([Text("k"), Array([])]))"#,
                r#"Push([Text("message"), Bytes(b"hi")])"#,
                r#"Reply(Error("ERR"))"#,
                r#"Reply(Bytes(b"a"))"#,
                r#"Reply(Error("OOM"))"#,
                r#"Reply(Text("t"))"#,
                "Reply(Nil)",
            ]
        );
    }

    #[test]
    fn what_no_redis_sends_is_refused_as_soon_as_it_is_seen() {
        for garbage in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"SSH-2.0-",
            b"$x\r\n",
            b"$-2\r\n",
            b"$\r\n",
            b"$999999999999\r\n",
            b"*99999999999999999999999\r\n",
            b":1\n",
            b":x\r\n",
            b"*1\r\n>0\r\n",
            b"|1\r\n",
            b"\x16\x03\x01",
        ] {
            assert_eq!(cut(&[garbage]), ["malformed"], "{garbage:?}");
        }
        let deep = b"*1\r\n".repeat(DEEPEST + 1);
        assert_eq!(cut(&[&deep, b":1\r\n"]), ["malformed"]);
        let endless = vec![b'+'; LONGEST_LINE + 2];
        assert_eq!(cut(&[&endless]), ["malformed"]);
    }

    #[test]
    fn a_call_is_an_array_of_its_words() {
        let mut written = Vec::new();
        let call = Call::command("SET").text("key").text("0123456789\r\n");
        write(&call, &mut written);
        assert_eq!(
            written,
            b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$12\r\n0123456789\r\n\r\n"
        );
    }

    proptest! {
        #[test]
        fn replies_are_the_same_in_however_many_pieces_they_arrive(cuts: Vec<usize>) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut % MANY.len()).collect();
            at.extend([0, MANY.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|two| &MANY[two[0]..two[1]]).collect();
            prop_assert_eq!(cut(&pieces), cut(&[MANY]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(pieces: Vec<Vec<u8>>, mark in "[-+:$*>%=!_#]", count: u16) {
            let head = format!("{mark}{count}\r\n");
            let mut all: Vec<&[u8]> = vec![head.as_bytes()];
            all.extend(pieces.iter().map(Vec::as_slice));
            cut(&all);
            cut(&all[1..]);
        }
    }
}
