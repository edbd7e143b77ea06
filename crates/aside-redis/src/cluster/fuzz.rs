//! The parsers under valid, damaged and arbitrary texts.
//!
//! No text makes them panic. A text that is read comes out the same when it is
//! written and read again, and a valid one is read as it was meant.

use fastrand::Rng;

use super::*;
use crate::fuzz;

/// Parts that a damaged text may have anywhere.
const TOKENS: [&str; 22] = [
    " ",
    "  ",
    "\n",
    "\r\n",
    ":",
    "@",
    ",",
    ",,",
    "?",
    "-",
    "[",
    "]",
    "->-",
    "-<-",
    "0-16383",
    "16384",
    "[1->-a]",
    "noaddr",
    "fail?",
    "=",
    "::1",
    "MOVED 1 h:1",
];

#[test]
fn no_text_panics_and_each_that_is_read_round_trips() {
    fuzz::each_seed(|random| {
        let nodes: Vec<Node> = (0..random.usize(..6)).map(|_| node(random)).collect();
        let text = written(&nodes);
        assert_eq!(parse_nodes(&text).as_ref(), Ok(&nodes));
        if let Ok(read) = parse_nodes(&damaged(text, random)) {
            assert_eq!(parse_nodes(&written(&read)), Ok(read));
        }

        let redirect = redirect(random);
        let line = redirect.to_string();
        assert_eq!(Redirect::parse(&line), Some(redirect));
        if let Some(read) = Redirect::parse(&damaged(line, random)) {
            assert_eq!(Redirect::parse(&read.to_string()), Some(read));
        }

        let info = Info {
            is_ok: random.bool(),
            current_epoch: random.u64(..),
        };
        assert_eq!(Info::parse(&info.to_string()), Ok(info));
        if let Ok(read) = Info::parse(&damaged(info.to_string(), random)) {
            assert_eq!(Info::parse(&read.to_string()), Ok(read));
        }
    });
}

fn written(nodes: &[Node]) -> String {
    nodes.iter().map(|node| format!("{node}\n")).collect()
}

fn damaged(text: String, random: &mut Rng) -> String {
    let mut bytes = text.into_bytes();
    for _ in 0..random.usize(1..6) {
        fuzz::damage(&mut bytes, random, &TOKENS);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn node(random: &mut Rng) -> Node {
    let is_primary = random.bool();
    Node {
        id: id(random),
        address: NodeAddress {
            host: host(random),
            port: random.u16(..),
            hostname: random.bool().then(|| "db-1.internal".to_owned()),
        },
        flags: Flags {
            myself: random.bool(),
            primary: is_primary,
            replica: !is_primary,
            maybe_failed: random.bool(),
            failed: random.bool(),
            handshake: random.bool(),
            no_address: random.bool(),
        },
        primary: (!is_primary).then(|| id(random)),
        config_epoch: random.u64(..),
        connected: random.bool(),
        slots: (0..random.usize(..5))
            .map(|_| {
                let first = random.u16(..SLOTS);
                first..=random.u16(first..SLOTS)
            })
            .collect(),
        migrating: moving(random),
        importing: moving(random),
    }
}

fn moving(random: &mut Rng) -> Vec<(u16, String)> {
    (0..random.usize(..3))
        .map(|_| (random.u16(..SLOTS), id(random)))
        .collect()
}

fn id(random: &mut Rng) -> String {
    (0..40).map(|_| random.char('a'..='f')).collect()
}

fn host(random: &mut Rng) -> Option<String> {
    const HOSTS: [&str; 4] = ["10.0.0.1", "::1", "fe80::1%eth0", "node_1"];
    let host = HOSTS.get(random.usize(..HOSTS.len() + 1))?;
    Some((*host).to_owned())
}

fn redirect(random: &mut Rng) -> Redirect {
    Redirect {
        kind: match random.bool() {
            true => RedirectKind::Moved,
            false => RedirectKind::Ask,
        },
        slot: random.u16(..SLOTS),
        host: host(random),
        port: random.u16(1..),
    }
}
