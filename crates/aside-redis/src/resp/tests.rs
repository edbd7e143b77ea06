use proptest::prelude::*;

use super::incoming::{BUFFER_BYTES, MAX_DEPTH, MAX_FURTHER_BYTES};
use super::part::MAX_LINE_BYTES;
use super::*;
use crate::call::Call;
use crate::cluster::{Redirect, RedirectKind};

const MAX: usize = 1000;

/// How much is kept of a string that is cut.
const KEPT: usize = 48;

const LIMITS: Limits = Limits {
    max_string_bytes: MAX,
    cut_bytes: KEPT,
};

/// Returns everything that is read from such pieces, up to the first error.
fn cut(pieces: &[&[u8]]) -> Vec<String> {
    let (mut incoming, mut cut) = (Incoming::new(LIMITS), Vec::new());
    for piece in pieces {
        incoming.room().extend_from_slice(piece);
        loop {
            match incoming.next_sent() {
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

const REPLIES: &[u8] = b"+OK\r\n:-7\r\n$3\r\na\r\n\r\n*3\r\n$1\r\nx\r\n_\r\n$-1\r\n\
    %1\r\n+k\r\n*0\r\n>2\r\n+message\r\n$2\r\nhi\r\n-ERR what `secret` is\r\n=5\r\ntxt:a\r\n\
    !6\r\nOOM no\r\n#t\r\n*-1\r\n";

#[test]
fn every_kind_of_reply_is_read_and_quotes_of_errors_are_cut() {
    assert_eq!(
        cut(&[REPLIES]),
        [
            r#"Reply(Text("OK"))"#,
            "Reply(Int(-7))",
            r#"Reply(Bytes(b"a\r\n"))"#,
            r#"Reply(Array([Bytes(b"x"), Nil, Nil]))"#,
            r#"Reply(Array([Text("k"), Array([])]))"#,
            r#"Push([Text("message"), Bytes(b"hi")])"#,
            r#"Reply(Error(Refusal { code: "ERR", text: "what … is" }))"#,
            r#"Reply(Bytes(b"a"))"#,
            r#"Reply(Error(Refusal { code: "OOM", text: "no" }))"#,
            r#"Reply(Text("t"))"#,
            "Reply(Nil)",
        ]
    );
}

#[test]
fn a_redirection_is_read_whole_and_a_broken_one_by_its_code() {
    let redirections = b"-MOVED 7 10.0.0.1:6379\r\n!12\r\nASK 8 ::1:80\r\n-MOVED x\r\n";
    let host = |host: &str| Some(host.to_owned());
    let [moved, ask] = [
        (RedirectKind::Moved, 7, host("10.0.0.1"), 6379),
        (RedirectKind::Ask, 8, host("::1"), 80),
    ]
    .map(|(kind, slot, host, port)| Redirect {
        kind,
        slot,
        host,
        port,
    });
    assert_eq!(
        cut(&[redirections]),
        [
            format!("{:?}", Sent::Reply(WireReply::Redirect(moved))),
            format!("{:?}", Sent::Reply(WireReply::Redirect(ask))),
            r#"Reply(Error(Refusal { code: "MOVED", text: "x" }))"#.to_owned(),
        ]
    );
}

#[test]
fn bytes_that_no_redis_sends_are_refused_at_once() {
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
    let deep = b"*1\r\n".repeat(MAX_DEPTH + 1);
    assert_eq!(cut(&[&deep, b":1\r\n"]), ["malformed"]);
    let endless = vec![b'+'; MAX_LINE_BYTES + 2];
    assert_eq!(cut(&[&endless]), ["malformed"]);
}

#[test]
fn a_string_that_is_too_large_is_cut_to_its_beginning() {
    let begins = format!("V{}", "0".repeat(KEPT - 1));
    let large = |mark: char, length: usize| {
        let string = format!("{begins}{}", "x".repeat(length - KEPT));
        format!("{mark}{length}\r\n{string}\r\n").into_bytes()
    };
    let cut_as = |whole: &[u8], size: usize| {
        let pieces: Vec<&[u8]> = whole.chunks(size).collect();
        cut(&pieces)
    };
    let told = format!("Cut(b\"{begins}\")");
    let mut alone = large('$', MAX + 1);
    alone.extend(b":1\r\n");
    let mut among = b"*3\r\n$1\r\na\r\n".to_vec();
    among.extend(large('=', MAX + 4000));
    among.extend(b":2\r\n:3\r\n");
    for size in [1, 7, 100, 1001, 100_000] {
        let expected = [format!("Reply({told})"), "Reply(Int(1))".to_owned()];
        assert_eq!(cut_as(&alone, size), expected, "{size}");
        let all = format!("Reply(Array([Bytes(b\"a\"), {told}, Int(2)]))");
        assert_eq!(
            cut_as(&among, size),
            [all, "Reply(Int(3))".to_owned()],
            "{size}"
        );
        let whole = cut_as(&large('$', MAX), size);
        assert!(whole[0].starts_with("Reply(Bytes("), "{whole:?}");
    }
    // Its reader goes on before all of it has arrived, and the rest is not kept.
    let mut incoming = Incoming::new(LIMITS);
    incoming.room().extend_from_slice(b"$300000000\r\n");
    incoming.room().extend_from_slice(begins.as_bytes());
    assert!(matches!(
        incoming.next_sent(),
        Ok(Some(Sent::Reply(WireReply::Cut(_))))
    ));
    for _ in 0..100 {
        incoming.room().extend_from_slice(&[b'x'; 8192]);
        assert!(matches!(incoming.next_sent(), Ok(None)));
        assert!(incoming.buffered().1 < 4 * BUFFER_BYTES.0);
    }
}

#[test]
fn a_reply_that_does_not_end_is_malformed() {
    for endless in [
        &b"*1000000000\r\n"[..],
        b"%600000\r\n",
        b"*1\r\n*1048576\r\n",
        b"^4\r\nabcd\r\n",
    ] {
        assert_eq!(cut(&[endless]), ["malformed"], "{endless:?}");
    }
    // Each of them allowed, and too much together.
    let mut pieces = vec![b"*1000000\r\n".to_vec()];
    pieces.extend(vec![
        [&b"$1000\r\n"[..], &[b'x'; 1000], b"\r\n"].concat();
        80_000
    ]);
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    let (mut incoming, mut longest) = (Incoming::new(LIMITS), 0);
    for piece in pieces {
        incoming.room().extend_from_slice(piece);
        assert!(matches!(incoming.next_sent(), Ok(None)));
        longest = longest.max(incoming.buffered().0);
    }
    assert!(longest < MAX_FURTHER_BYTES + 16 * 1024 * 1024, "{longest}");
}

#[test]
fn a_call_is_an_array_of_its_words() {
    let mut written = Vec::new();
    let call = Call::command("SET").text("key").text("0123456789\r\n");
    write_call(&call, &mut written);
    assert_eq!(
        written,
        b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$12\r\n0123456789\r\n\r\n"
    );
}

proptest! {
    #[test]
    fn replies_do_not_depend_on_how_they_are_cut(cuts: Vec<usize>) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut % REPLIES.len()).collect();
        at.extend([0, REPLIES.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|two| &REPLIES[two[0]..two[1]]).collect();
        prop_assert_eq!(cut(&pieces), cut(&[REPLIES]));
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
