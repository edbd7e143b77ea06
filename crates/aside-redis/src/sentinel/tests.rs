use fastrand::Rng;

use super::*;
use crate::fuzz;
use crate::resp::{Incoming, Limits, Sent};

/// Returns the reply in some bytes, if there is one.
fn read(bytes: &[u8]) -> Option<WireReply> {
    let mut incoming = Incoming::new(Limits::default());
    incoming.room().extend_from_slice(bytes);
    match incoming.next_sent() {
        Ok(Some(Sent::Reply(reply))) => Some(reply),
        _ => None,
    }
}

/// Writes pairs as a map of RESP3, or as an array of RESP2.
fn written(pairs: &[(&str, &str)], mark: char) -> String {
    let count = match mark {
        '%' => pairs.len(),
        _ => pairs.len() * 2,
    };
    let words = pairs.iter().flat_map(|(name, value)| [*name, *value]);
    let strings = words.map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("{mark}{count}\r\n{}", strings.collect::<String>())
}

/// As Redis 7.0 replies, without some fields that are not read.
const MASTER_FIELDS: [(&str, &str); 13] = [
    ("name", "mymaster"),
    ("ip", "127.0.0.1"),
    ("port", "6379"),
    ("runid", "94d9a5b4a4a2d1d1d3e4cf2cbf9c7f8a2b6c1f00"),
    ("flags", "master"),
    ("link-pending-commands", "0"),
    ("role-reported", "master"),
    ("config-epoch", "3"),
    ("num-slaves", "2"),
    ("num-other-sentinels", "2"),
    ("quorum", "2"),
    ("failover-timeout", "180000"),
    ("parallel-syncs", "1"),
];

fn primary() -> Primary {
    Primary {
        host: "127.0.0.1".to_owned(),
        port: 6379,
        config_epoch: 3,
        run_id: "94d9a5b4a4a2d1d1d3e4cf2cbf9c7f8a2b6c1f00".to_owned(),
        health: Health::default(),
        num_other_sentinels: 2,
        quorum: 2,
    }
}

/// Returns the fields with another value for one of them.
fn with(field: &str, value: &'static str) -> String {
    let fields = MASTER_FIELDS.map(|(name, known)| match name == field {
        true => (name, value),
        false => (name, known),
    });
    written(&fields, '%')
}

#[test]
fn a_primary_is_read_from_a_map_and_from_an_array() {
    for mark in ['%', '*'] {
        let reply = read(written(&MASTER_FIELDS, mark).as_bytes()).unwrap();
        assert_eq!(Primary::read(&reply), Ok(primary()));
    }
}

#[test]
fn the_flags_of_a_primary_tell_its_health() {
    for (flags, health) in [
        ("master", [false, false, false]),
        ("s_down,master,disconnected", [true, false, false]),
        ("s_down,o_down,master", [true, true, false]),
        (
            "s_down,o_down,master,failover_in_progress,force_failover",
            [true, true, true],
        ),
    ] {
        let reply = read(with("flags", flags).as_bytes()).unwrap();
        let read = Primary::read(&reply).unwrap().health;
        assert_eq!(
            [read.is_down, read.is_down_for_quorum, read.is_failing_over],
            health
        );
    }
}

#[test]
fn a_missing_or_impossible_field_is_named() {
    for (field, value) in [
        ("ip", "10.0.0.1 x"),
        ("ip", ""),
        ("port", "0"),
        ("port", "65536"),
        ("config-epoch", "-1"),
        ("num-other-sentinels", "many"),
        ("quorum", ""),
    ] {
        let reply = read(with(field, value).as_bytes()).unwrap();
        let command = "SENTINEL MASTER";
        let unexpected = Error::Unexpected { command, field };
        assert_eq!(Primary::read(&reply), Err(unexpected), "{field} {value}");
    }
    let said = Primary::read(&WireReply::Array(Vec::new())).unwrap_err();
    assert_eq!(
        said.to_string(),
        "the server's reply to SENTINEL MASTER has no usable flags"
    );
}

#[test]
fn a_refusal_keeps_its_code() {
    let reply = read(b"-ERR No such master with that name\r\n").unwrap();
    for said in [
        Primary::read(&reply).unwrap_err(),
        Peer::read_all(&reply).unwrap_err(),
        Vote::read(&reply).unwrap_err(),
    ] {
        let Error::Refused { refusal, .. } = said else {
            panic!("{said}");
        };
        let shown = refusal.to_string();
        assert_eq!(shown, "ERR (No such master with that name)");
    }
}

#[test]
fn sentinels_are_read_from_maps_and_from_arrays() {
    let peer = |host: &str, port: u16, run_id: &str| Peer {
        host: host.to_owned(),
        port,
        run_id: run_id.to_owned(),
    };
    for mark in ['%', '*'] {
        let first = written(&[("ip", "::1"), ("port", "26379"), ("runid", "ab")], mark);
        let second = written(&[("ip", "s-2"), ("port", "26380"), ("runid", "")], mark);
        let reply = read(format!("*2\r\n{first}{second}").as_bytes()).unwrap();
        let read = [peer("::1", 26_379, "ab"), peer("s-2", 26_380, "")];
        assert_eq!(Peer::read_all(&reply).unwrap(), read);
    }
    assert_eq!(
        Peer::read_all(&WireReply::Array(Vec::new())),
        Ok(Vec::new())
    );
}

#[test]
fn a_vote_names_its_leader_and_epoch() {
    let vote = |bytes: &[u8]| Vote::read(&read(bytes).unwrap());
    let never = Vote {
        is_down: false,
        leader: None,
        leader_epoch: 0,
    };
    for leader in ["*", "?"] {
        let reply = format!("*3\r\n:0\r\n$1\r\n{leader}\r\n:0\r\n");
        assert_eq!(vote(reply.as_bytes()), Ok(never.clone()));
    }
    let voted = Vote {
        is_down: true,
        leader: Some("ab12".to_owned()),
        leader_epoch: 7,
    };
    assert_eq!(vote(b"*3\r\n:1\r\n$4\r\nab12\r\n:7\r\n"), Ok(voted));
    assert!(vote(b"*2\r\n:1\r\n$4\r\nab12\r\n").is_err());
    assert!(vote(b"*3\r\n:1\r\n:4\r\n:7\r\n").is_err());
    assert!(vote(b"*3\r\n:1\r\n$4\r\nab12\r\n:-7\r\n").is_err());
}

#[test]
fn an_address_is_read_and_may_be_absent() {
    let address = |reply: &[u8]| read_address(&read(reply).unwrap());
    let found = address(b"*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n");
    assert_eq!(found, Ok(Some(("127.0.0.1".to_owned(), 6379))));
    assert_eq!(address(b"_\r\n"), Ok(None));
    assert!(address(b"*1\r\n$9\r\n127.0.0.1\r\n").is_err());
    assert!(address(b"*2\r\n$1\r\n/\r\n$4\r\n6379\r\n").is_err());
}

#[test]
fn no_reply_makes_a_reader_panic() {
    let vote = "*3\r\n:1\r\n$4\r\nab12\r\n:7\r\n".to_owned();
    let peers = format!("*1\r\n{}", written(&MASTER_FIELDS, '%'));
    let replies = [written(&MASTER_FIELDS, '%'), peers, vote];
    fuzz::each_seed(|random: &mut Rng| {
        let mut bytes = replies[random.usize(..3)].clone().into_bytes();
        for _ in 0..random.usize(1..4) {
            fuzz::damage(
                &mut bytes,
                random,
                &["\r\n", "_\r\n", "*0\r\n", ":1\r\n", "$-1\r\n"],
            );
        }
        if let Some(reply) = read(&bytes) {
            let _ = Primary::read(&reply);
            let _ = Peer::read_all(&reply);
            let _ = Vote::read(&reply);
            let _ = read_address(&reply);
        }
    });
}
