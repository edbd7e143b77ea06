//! The reader under arbitrary streams: valid ones, damaged ones, and noise.
//!
//! No stream makes it panic or take more memory than its limits allow, and its
//! result does not depend on how the stream is cut into pieces. A valid stream
//! comes out as it was written.

use fastrand::Rng;

use super::incoming::{BUFFER_BYTES, MAX_DEPTH};
use super::*;
use crate::cluster::{Redirect, RedirectKind};
use crate::error::Refusal;
use crate::fuzz;

/// How many times each stream is cut anew.
const CUTTINGS: usize = 4;

/// Nearly every string is cut, some are, and none is.
const MAX_STRING_BYTES: [usize; 3] = [0, 300, 512 * 1024 * 1024];

/// The most memory that a byte of a stream may take in replies. The shortest part
/// is `_\r\n`, and the array around it may have the next larger capacity.
const MAX_REPLY_BYTES_PER_BYTE: usize = size_of::<WireReply>();

/// Parts that a damaged stream may have anywhere.
const TOKENS: [&str; 22] = [
    "\r\n",
    "\n",
    "_\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "$-2\r\n",
    "$0\r\n\r\n",
    "$301\r\n",
    "$5000000\r\n",
    "$536870912\r\n",
    "$536870913\r\n",
    "*1048576\r\n",
    "*1048577\r\n",
    "*18446744073709551616\r\n",
    "%9223372036854775807\r\n",
    ">0\r\n",
    ">3\r\n$7\r\nmessage\r\n",
    "^48\r\n",
    "|1\r\n",
    "=3\r\ntxt\r\n",
    ":9223372036854775808\r\n",
    "-MOVED 1 h:1\r\n",
];

/// Forms that servers send and this crate does not write.
const FOREIGN: [(&str, WireReply); 6] = [
    ("$-1\r\n", WireReply::Nil),
    ("*-1\r\n", WireReply::Nil),
    ("%0\r\n", WireReply::Array(Vec::new())),
    ("~0\r\n", WireReply::Array(Vec::new())),
    ("$0\r\n\r\n", WireReply::Bytes(Bytes::new())),
    (":-9223372036854775808\r\n", WireReply::Int(i64::MIN)),
];

#[test]
fn no_stream_panics_or_exceeds_memory_or_depends_on_its_pieces() {
    fuzz::each_seed(check);
}

/// Checks one stream.
fn check(random: &mut Rng) {
    let limits = Limits {
        max_string_bytes: MAX_STRING_BYTES[random.usize(..3)],
        cut_bytes: [0, 48][random.usize(..2)],
    };
    let (mut stream, expected) = valid(random, limits);
    let expected = match random.u8(..4) {
        0 => Some(expected),
        1 => {
            stream = noise(random);
            None
        }
        _ => {
            for _ in 0..random.usize(1..6) {
                fuzz::damage(&mut stream, random, &TOKENS);
            }
            None
        }
    };
    let whole = read(&[&stream], limits);
    if let Some(expected) = expected {
        assert_eq!(whole, (expected, Ok(())));
    }
    for _ in 0..CUTTINGS {
        assert_eq!(read(&pieces(&stream, random), limits), whole);
    }
}

/// Returns all that is read from such pieces, and how it ended.
fn read(pieces: &[&[u8]], limits: Limits) -> (Vec<Sent>, Result<(), Malformed>) {
    let (mut incoming, mut sent) = (Incoming::new(limits), Vec::new());
    let (mut arrived, mut kept) = (0, 0);
    for piece in pieces {
        incoming.room().extend_from_slice(piece);
        arrived += piece.len();
        loop {
            let next = incoming.next_sent();
            let (held, room) = incoming.buffered();
            assert!(held <= arrived, "{held} bytes are held of {arrived}");
            // A buffer that grows at least doubles.
            let max = 2 * (arrived + BUFFER_BYTES.1);
            assert!(room <= max, "room for {room} bytes after {arrived}");
            match next {
                Ok(Some(next)) => {
                    let items = match &next {
                        Sent::Reply(reply) => std::slice::from_ref(reply),
                        Sent::Push(items) => items,
                    };
                    assert!(depth(items) <= MAX_DEPTH, "{next:?} is too deep");
                    kept += size_of_items(items);
                    sent.push(next);
                }
                Ok(None) => break,
                Err(malformed) => return (sent, Err(malformed)),
            }
        }
        assert!(kept <= arrived * MAX_REPLY_BYTES_PER_BYTE);
    }
    (sent, Ok(()))
}

/// Returns the memory behind a reply.
fn size_of_inside(reply: &WireReply) -> usize {
    match reply {
        WireReply::Nil | WireReply::Int(_) => 0,
        WireReply::Bytes(bytes) | WireReply::Cut(bytes) => bytes.len(),
        WireReply::Text(text) => text.capacity(),
        WireReply::Error(refusal) => refusal.capacity(),
        WireReply::Redirect(redirect) => redirect.host.as_ref().map_or(0, String::capacity),
        WireReply::Array(items) => size_of_items(items),
    }
}

fn depth(items: &[WireReply]) -> usize {
    let inside = items.iter().map(|item| match item {
        WireReply::Array(items) => depth(items),
        _ => 0,
    });
    1 + inside.max().unwrap_or(0)
}

fn size_of_items(items: &[WireReply]) -> usize {
    let inside: usize = items.iter().map(size_of_inside).sum();
    size_of_val(items) + inside
}

/// Cuts a stream at random places: seldom, or after nearly each byte if it is
/// short. A line that has not ended is searched anew with each piece.
fn pieces<'a>(stream: &'a [u8], random: &mut Rng) -> Vec<&'a [u8]> {
    let longest = [2, 20, 2_000, 100_000][random.usize(..4)];
    let longest = longest.max(stream.len() / 200);
    let (mut rest, mut pieces) = (stream, Vec::new());
    while !rest.is_empty() {
        let piece;
        (piece, rest) = rest.split_at(random.usize(1..=longest).min(rest.len()));
        pieces.push(piece);
    }
    pieces
}

/// Returns a stream as a server sends it, and how it must be read.
fn valid(random: &mut Rng, limits: Limits) -> (Vec<u8>, Vec<Sent>) {
    let (mut stream, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..random.usize(1..8) {
        if random.u8(..4) == 0 {
            let (bytes, reply) = FOREIGN[random.usize(..FOREIGN.len())].clone();
            stream.extend_from_slice(bytes.as_bytes());
            expected.push(Sent::Reply(cut(reply, limits)));
            continue;
        }
        let sent = match random.u8(..4) {
            0 => Sent::Push((0..random.usize(1..4)).map(|_| reply(random, 2)).collect()),
            _ => Sent::Reply(reply(random, 3)),
        };
        sent.write(&mut stream);
        expected.push(match sent {
            Sent::Reply(reply) => Sent::Reply(cut(reply, limits)),
            Sent::Push(items) => {
                Sent::Push(items.into_iter().map(|item| cut(item, limits)).collect())
            }
        });
    }
    (stream, expected)
}

fn reply(random: &mut Rng, depth: usize) -> WireReply {
    match random.u8(..if depth == 0 { 7 } else { 9 }) {
        0 => WireReply::Nil,
        1 => WireReply::Int(random.i64(..)),
        2 => WireReply::Text(text(random)),
        3 => WireReply::Error(Refusal::parse("NOSCRIPT no matching script")),
        4 => WireReply::Redirect(Redirect {
            kind: RedirectKind::Moved,
            slot: random.u16(..16_384),
            host: random.bool().then(|| "10.0.0.1".to_owned()),
            port: random.u16(1..),
        }),
        5 | 6 => WireReply::Bytes(string(random)),
        _ => {
            let items = (0..random.usize(..5)).map(|_| reply(random, depth - 1));
            WireReply::Array(items.collect())
        }
    }
}

/// Returns a line, seldom one of nearly the length that is allowed.
fn text(random: &mut Rng) -> String {
    let length = match random.u8(..50) {
        0 => random.usize(60_000..65_000),
        _ => random.usize(..20),
    };
    (0..length).map(|_| random.alphanumeric()).collect()
}

/// Returns a string: short, around the limit, or far beyond it.
fn string(random: &mut Rng) -> Bytes {
    let length = match random.u8(..8) {
        0 | 1 => random.usize(298..304),
        2 => random.usize(..10_000),
        _ => random.usize(..60),
    };
    (0..length).map(|_| random.u8(..)).collect()
}

/// Returns a reply as it is read within the limits.
fn cut(reply: WireReply, limits: Limits) -> WireReply {
    match reply {
        WireReply::Bytes(bytes) if limits.max_string_bytes.max(limits.cut_bytes) < bytes.len() => {
            WireReply::Cut(bytes.slice(..limits.cut_bytes))
        }
        WireReply::Array(items) => {
            WireReply::Array(items.into_iter().map(|item| cut(item, limits)).collect())
        }
        reply => reply,
    }
}

/// Returns bytes of which many mean something.
fn noise(random: &mut Rng) -> Vec<u8> {
    if random.u8(..8) == 0 {
        let nested = "*1\r\n".repeat(random.usize(10..25));
        return (nested + ":1\r\n").into_bytes();
    }
    let mut noise = Vec::new();
    for _ in 0..random.usize(..40) {
        match random.u8(..3) {
            0 => noise.push(random.u8(..)),
            1 => noise.push(b"+-:$*%~>=!#_,(^|0123456789\r\n"[random.usize(..28)]),
            _ => noise.extend(TOKENS[random.usize(..TOKENS.len())].bytes()),
        }
    }
    noise
}
