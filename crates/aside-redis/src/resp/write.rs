//! Calls as a server reads them, and replies as a client does.

use super::Sent;
use crate::call::Call;
use crate::reply::WireReply;

/// Appends a call as a server reads it, behind ASKING if the call
/// [asks](Call::asking).
pub fn write_call(call: &Call<'_>, into: &mut Vec<u8>) {
    if call.is_asking() {
        into.extend_from_slice(b"*1\r\n$6\r\nASKING\r\n");
    }
    write_header(b'*', call.count(), into);
    call.words(|word| write_string(word, into));
}

impl Sent {
    /// Appends it as a client reads it; a cut string as if that were all of it.
    pub fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Reply(reply) => write_reply(reply, into),
            Self::Push(items) => write_items(b'>', items, into),
        }
    }
}

fn write_reply(reply: &WireReply, into: &mut Vec<u8>) {
    match reply {
        WireReply::Nil => write_line(b'_', "", into),
        WireReply::Int(number) => write_line(b':', &number.to_string(), into),
        WireReply::Bytes(bytes) | WireReply::Cut(bytes) => write_string(bytes, into),
        WireReply::Text(text) => write_line(b'+', text, into),
        WireReply::Error(refusal) => {
            let line = format!("{} {}", refusal.code(), refusal.text());
            write_line(b'-', line.trim_end(), into);
        }
        WireReply::Redirect(redirect) => write_line(b'-', &redirect.to_string(), into),
        WireReply::Array(items) => write_items(b'*', items, into),
    }
}

fn write_items(mark: u8, items: &[WireReply], into: &mut Vec<u8>) {
    write_header(mark, items.len(), into);
    items.iter().for_each(|item| write_reply(item, into));
}

fn write_string(bytes: &[u8], into: &mut Vec<u8>) {
    write_header(b'$', bytes.len(), into);
    into.extend_from_slice(bytes);
    into.extend_from_slice(b"\r\n");
}

fn write_line(mark: u8, text: &str, into: &mut Vec<u8>) {
    into.push(mark);
    into.extend_from_slice(text.as_bytes());
    into.extend_from_slice(b"\r\n");
}

/// Without the machinery of `fmt`: each key of an MGET has a header.
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
