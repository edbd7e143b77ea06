use proptest::prelude::*;

use super::*;

#[test]
fn slots_are_those_of_the_specification() {
    for (key, slot) in [
        ("123456789", 12_739),
        ("somekey", 11_058),
        ("foo{hash_tag}", 2_515),
        ("bar{hash_tag}", 2_515),
        ("foo", 12_182),
        ("", 0),
    ] {
        assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
    }
}

#[test]
fn only_the_first_tag_that_is_not_empty_counts() {
    for (key, hashed) in [
        ("{user1000}.following", "user1000"),
        ("foo{{bar}}zap", "{bar"),
        ("foo{bar}{zap}", "bar"),
    ] {
        assert_eq!(slot_of(key.as_bytes()), slot_of(hashed.as_bytes()), "{key}");
    }
    // An empty tag, or one without an end, is no tag: these differ from `{bar}`.
    for key in ["foo{}{bar}", "foo{bar", "}foo{bar", "foo}bar{"] {
        assert_ne!(slot_of(key.as_bytes()), slot_of(b"bar"), "{key}");
    }
}

fn redirect(kind: RedirectKind, slot: u16, host: Option<&str>, port: u16) -> Option<Redirect> {
    let host = host.map(str::to_owned);
    Some(Redirect {
        kind,
        slot,
        host,
        port,
    })
}

#[test]
fn redirections_name_a_slot_and_a_node() {
    use RedirectKind::{Ask, Moved};
    for (line, read) in [
        (
            "MOVED 3999 127.0.0.1:6381",
            redirect(Moved, 3999, Some("127.0.0.1"), 6381),
        ),
        (
            "ASK 0 db-1.internal:7000",
            redirect(Ask, 0, Some("db-1.internal"), 7000),
        ),
        ("MOVED 1 ::1:7000", redirect(Moved, 1, Some("::1"), 7000)),
        ("MOVED 1 :7000", redirect(Moved, 1, None, 7000)),
        ("ASK 16383 ?:7000", redirect(Ask, 16_383, None, 7000)),
        ("MOVED 16384 h:1", None),
        ("MOVED 1 h:0", None),
        ("MOVED 1 h:65536", None),
        ("MOVED +1 h:1", None),
        ("MOVED 1 h", None),
        ("MOVED 1", None),
        ("MOVED 1 h:1 x", None),
        ("MOVED 1 a b:1", None),
        ("MOVED 1 h\u{1b}[0m:1", None),
        ("TRYAGAIN 1 h:1", None),
        ("", None),
    ] {
        assert_eq!(Redirect::parse(line), read, "{line}");
    }
    let long = "h".repeat(256);
    assert_eq!(Redirect::parse(&format!("MOVED 1 {long}:1")), None);
}

const ID: &str = "07c37dfeb235213a872192d90877d0cd55635b91";
const OTHER: &str = "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca";

/// Parses the only line of a reply.
fn one(line: &str) -> Node {
    let mut nodes = parse_nodes(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert_eq!(nodes.len(), 1);
    nodes.pop().unwrap()
}

fn at(address: &str) -> NodeAddress {
    one(&format!("{ID} {address} master - 0 0 1 connected")).address
}

fn address(host: Option<&str>, port: u16, hostname: Option<&str>) -> NodeAddress {
    NodeAddress {
        host: host.map(str::to_owned),
        port,
        hostname: hostname.map(str::to_owned),
    }
}

#[test]
fn every_form_of_an_address_is_read() {
    for (text, read) in [
        (
            "127.0.0.1:6379@16379",
            address(Some("127.0.0.1"), 6379, None),
        ),
        // Before Redis 4 no line had the port of the bus.
        ("127.0.0.1:6379", address(Some("127.0.0.1"), 6379, None)),
        ("::1:6379@16379", address(Some("::1"), 6379, None)),
        (
            "fe80::1%eth0:6379@16379",
            address(Some("fe80::1%eth0"), 6379, None),
        ),
        (
            "10.0.0.1:6379@16379,db-1.internal",
            address(Some("10.0.0.1"), 6379, Some("db-1.internal")),
        ),
        (
            "10.0.0.1:6379@16379,,tls-port=0,shard-id=69bc",
            address(Some("10.0.0.1"), 6379, None),
        ),
        (
            "10.0.0.1:6379@16379,db-1,availability-zone=eu-1a",
            address(Some("10.0.0.1"), 6379, Some("db-1")),
        ),
        (
            "10.0.0.1:6379@16379,shard-id=69bc",
            address(Some("10.0.0.1"), 6379, None),
        ),
        ("?:6379@16379,?", address(None, 6379, None)),
        (":6379@16379", address(None, 6379, None)),
        (":0@0", address(None, 0, None)),
    ] {
        assert_eq!(at(text), read, "{text}");
    }
}

#[test]
fn a_hostname_is_preferred_and_the_asked_host_is_the_last_resort() {
    let named = address(Some("10.0.0.1"), 1, Some("db-1"));
    assert_eq!(named.host_or("asked"), "db-1");
    assert_eq!(
        address(Some("10.0.0.1"), 1, None).host_or("asked"),
        "10.0.0.1"
    );
    assert_eq!(address(None, 1, None).host_or("asked"), "asked");
}

#[test]
fn a_whole_reply_is_read() {
    let text = format!(
        "{ID} :30004@31004 myself,master - 0 1426238317239 12 connected 0 2-5460 \
         [93-<-{OTHER}] [77->-{OTHER}]\n\
         {OTHER} 127.0.0.1:30001@31001,host-1 slave,fail?,nofailover {ID} 1426238316232 0 4 \
         disconnected\n"
    );
    let nodes = parse_nodes(&text).unwrap();
    let flags = Flags {
        myself: true,
        primary: true,
        ..Flags::default()
    };
    let first = Node {
        id: ID.to_owned(),
        address: address(None, 30_004, None),
        flags,
        primary: None,
        config_epoch: 12,
        connected: true,
        slots: vec![0..=0, 2..=5460],
        migrating: vec![(77, OTHER.to_owned())],
        importing: vec![(93, OTHER.to_owned())],
    };
    let flags = Flags {
        replica: true,
        maybe_failed: true,
        ..Flags::default()
    };
    let second = Node {
        id: OTHER.to_owned(),
        address: address(Some("127.0.0.1"), 30_001, Some("host-1")),
        flags,
        primary: Some(ID.to_owned()),
        config_epoch: 4,
        connected: false,
        slots: Vec::new(),
        migrating: Vec::new(),
        importing: Vec::new(),
    };
    assert_eq!(nodes, [first, second]);
}

#[test]
fn flags_tell_failures_and_strangers_apart() {
    let flags = |text: &str| one(&format!("{ID} :1@1 {text} - 0 0 0 connected")).flags;
    assert!(flags("master,fail").failed && !flags("master,fail").maybe_failed);
    assert!(flags("master,fail?").maybe_failed && !flags("master,fail?").failed);
    assert!(flags("handshake").handshake && flags("master,noaddr").no_address);
    assert!(flags("myself,primary").primary && flags("replica").replica);
    assert_eq!(flags("noflags"), Flags::default());
}

#[test]
fn as_many_single_slots_as_there_are_can_be_read() {
    let slots: Vec<String> = (0..SLOTS).map(|slot| slot.to_string()).collect();
    let node = one(&format!(
        "{ID} h:1@2 master - 0 0 1 connected {}",
        slots.join(" ")
    ));
    assert_eq!(node.slots.len(), usize::from(SLOTS));
}

#[test]
fn an_impossible_line_is_refused_with_its_number_and_field() {
    for (line, field) in [
        ("id! h:1@2 master - 0 0 1 connected", "id"),
        ("id h master - 0 0 1 connected", "address"),
        ("id h:x@2 master - 0 0 1 connected", "address"),
        ("id h:1@2,a;b master - 0 0 1 connected", "address"),
        ("id h:1@2", "flags"),
        ("id h:1@2 master ? 0 0 1 connected", "primary"),
        ("id h:1@2 master - 0", "time of the last PONG"),
        ("id h:1@2 master - 0 0 x connected", "config epoch"),
        ("id h:1@2 master - 0 0 1 unknown", "link state"),
        ("id h:1@2 master - 0 0 1 connected 16384", "slots"),
        ("id h:1@2 master - 0 0 1 connected 2-1", "slots"),
        ("id h:1@2 master - 0 0 1 connected 1-+2", "slots"),
        ("id h:1@2 master - 0 0 1 connected [1->-id", "moving slot"),
        ("id h:1@2 master - 0 0 1 connected [1-id]", "moving slot"),
    ] {
        let text = format!("{ID} h:1@2 master - 0 0 1 connected\n{line}\n");
        let refused = Unreadable::Nodes { line: 2, field };
        assert_eq!(parse_nodes(&text), Err(refused), "{line}");
    }
    let many = format!("{ID} h:1@2 master - 0 0 1 connected\n").repeat(20_000);
    assert_eq!(parse_nodes(&many), Err(Unreadable::TooManyNodes));
}

#[test]
fn the_state_of_a_cluster_is_read() {
    let text = "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_current_epoch:6\r\n";
    let read = Info {
        is_ok: true,
        current_epoch: 6,
    };
    assert_eq!(Info::parse(text), Ok(read));
    let failed = text.replace(":ok", ":fail");
    assert!(!Info::parse(&failed).unwrap().is_ok);
    for (broken, field) in [
        ("", "cluster_state"),
        ("cluster_state:ok", "cluster_current_epoch"),
        (
            "cluster_state:ok\ncluster_current_epoch:x",
            "cluster_current_epoch",
        ),
    ] {
        assert_eq!(Info::parse(broken), Err(Unreadable::Info { field }));
    }
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in ".*|[a-f0-9 :@,?\\[\\]<>\n=-]{0,80}") {
        let _ = parse_nodes(&text);
        let _ = Info::parse(&text);
        let _ = Redirect::parse(&text);
        let _ = slot_of(text.as_bytes());
    }

    #[test]
    fn keys_with_one_tag_share_a_slot(before in "[^{]*", tag in "[^}]+", after in ".*") {
        let key = format!("{before}{{{tag}}}{after}");
        prop_assert_eq!(slot_of(key.as_bytes()), slot_of(tag.as_bytes()));
    }

    #[test]
    fn a_redirection_comes_out_as_it_was_written(
        moved: bool,
        slot in 0..SLOTS,
        host in proptest::option::of("[a-z0-9.:-]{1,40}"),
        port in 1..=u16::MAX,
    ) {
        let kind = if moved { RedirectKind::Moved } else { RedirectKind::Ask };
        let written = Redirect { kind, slot, host, port };
        prop_assert_eq!(Redirect::parse(&written.to_string()), Some(written));
    }
}
