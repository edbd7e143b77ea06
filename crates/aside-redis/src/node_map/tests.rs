use proptest::prelude::*;

use super::*;

fn map(text: &str) -> NodeMap {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn said(text: &str) -> String {
    text.parse::<NodeMap>().unwrap_err().to_string()
}

#[test]
fn an_announced_address_leads_to_the_reachable_one() {
    let map = map(" 10.0.0.1:6379 = localhost:7001 ,[::1]:7000=[fd00::2]:7001,DB-3:1=h:2");
    assert_eq!(map.reach("10.0.0.1", 6379), ("localhost".to_owned(), 7001));
    assert_eq!(map.reach("::1", 7000), ("fd00::2".to_owned(), 7001));
    assert_eq!(map.reach("db-3", 1), ("h".to_owned(), 2));
    for other in [("10.0.0.1", 6380), ("10.0.0.2", 6379)] {
        assert_eq!(map.reach(other.0, other.1), (other.0.to_owned(), other.1));
    }
    assert_eq!(NodeMap::default().reach("h", 1), ("h".to_owned(), 1));
    assert_eq!("".parse(), Ok(NodeMap::default()));
}

#[test]
fn a_pair_of_hosts_keeps_the_port() {
    let map = map("10.0.0.1=gateway,::1=[::2],10.0.0.1:7000=other:1");
    assert_eq!(map.reach("10.0.0.1", 6379), ("gateway".to_owned(), 6379));
    assert_eq!(map.reach("::1", 9), ("::2".to_owned(), 9));
    assert_eq!(map.reach("10.0.0.1", 7000), ("other".to_owned(), 1));
}

#[test]
fn a_node_is_found_by_its_hostname_and_by_its_address() {
    let node = NodeAddress {
        host: Some("10.0.0.1".to_owned()),
        port: 6379,
        hostname: Some("db-1".to_owned()),
    };
    let reach = |text: &str, node: &NodeAddress| map(text).reach_node(node, "asked");
    let at = |host: &str, port| Some((host.to_owned(), port));
    assert_eq!(reach("", &node), at("db-1", 6379));
    assert_eq!(reach("db-1:6379=h:1,10.0.0.1:6379=i:2", &node), at("h", 1));
    assert_eq!(reach("10.0.0.1:6379=i:2", &node), at("i", 2));

    let unnamed = NodeAddress {
        host: None,
        hostname: None,
        ..node.clone()
    };
    assert_eq!(reach("", &unnamed), at("asked", 6379));
    assert_eq!(reach("asked:6379=h:1", &unnamed), at("h", 1));
    let unknown = NodeAddress { port: 0, ..unnamed };
    assert_eq!(reach("", &unknown), None);
}

#[test]
fn a_wrong_pair_is_named() {
    for (text, begins) in [
        ("a:1=b:2,c", "pair 2 (`c`) has no `=`: "),
        ("a:1=b:2,", "pair 2 (``) has no `=`: "),
        ("=b:2", "pair 1 (`=b:2`) begins with no usable address: "),
        ("a:1=", "pair 1 (`a:1=`) ends with no usable address: "),
        ("a:1=b:0", "pair 1 (`a:1=b:0`) ends with"),
        ("a:1=b:x", "pair 1 (`a:1=b:x`) ends with"),
        ("a:1=b:65536", "pair 1 (`a:1=b:65536`) ends with"),
        ("a b:1=b:1", "pair 1 (`a b:1=b:1`) begins with"),
        ("[a]:1=b:1", "pair 1 (`[a]:1=b:1`) begins with"),
        ("[::1=b:1", "pair 1 (`[::1=b:1`) begins with"),
        ("a:1=b", "pair 1 (`a:1=b`) has a port on one side only: "),
        ("a=b:1", "pair 1 (`a=b:1`) has a port on one side only: "),
        (
            "a:1=b:2,A:1=c:2",
            "pair 2 (`A:1=c:2`) repeats an announced address: ",
        ),
    ] {
        let said = said(text);
        assert!(said.starts_with(begins), "{said}");
        assert!(
            said.ends_with("as in 10.0.0.1:6379=localhost:7001"),
            "{said}"
        );
    }
}

#[test]
fn an_error_shows_no_password_and_no_control_character() {
    let shown = said("redis://u:hunter2@h=x");
    assert!(!shown.contains("hunter2"), "{shown}");
    let shown = said("a\u{1b}[0m");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert!(said(&"x".repeat(1000)).len() < 300);
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(text in ".*|[a-c0-9:=,\\[\\] .]{0,40}") {
        let _ = text.parse::<NodeMap>();
    }

    #[test]
    fn every_pair_is_found(
        pairs in proptest::collection::btree_map(("[a-z0-9.]{1,12}", 1..=u16::MAX), ("[a-z0-9.]{1,12}", 1..=u16::MAX), 0..8),
    ) {
        let text: Vec<_> = pairs.iter().map(|((a, b), (c, d))| format!("{a}:{b}={c}:{d}")).collect();
        let map = map(&text.join(","));
        for ((host, port), reachable) in &pairs {
            prop_assert_eq!(&map.reach(host, *port), reachable);
        }
    }
}
