//! Operations without scripts: raw values, several keys, scans.

use std::collections::BTreeSet;

use crate::conformance::{Case, LONG};
use crate::protocol::{Lives, Op, Reply};

pub(crate) async fn raw_values_are_stored_read_and_removed(case: &Case) {
    let key = case.key("k");
    let exists = || case.run(Op::Exists { key: key.clone() });
    let delete = || case.run(Op::Delete { key: key.clone() });

    assert_eq!(exists().await, Reply::Existed(false));
    case.set(&key, b"\x00raw\xff", None).await;
    assert_eq!(exists().await, Reply::Existed(true));
    assert_eq!(case.get(&key).await, Some(b"\x00raw\xff".to_vec()));
    assert_eq!(delete().await, Reply::Existed(true));
    assert_eq!(delete().await, Reply::Existed(false));
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn many_keys_are_read_in_the_requested_order(case: &Case) {
    let [one, two, absent] = ["one", "two", "absent"].map(|name| case.key(name));
    case.set(&one, b"1", None).await;
    case.set(&two, b"2", None).await;
    let keys = vec![two.clone(), absent, one, two];
    let values = [Some("2"), None, Some("1"), Some("2")];
    let values = values.map(|value| value.map(Into::into));
    let read = case.run(Op::GetMany { keys }).await;
    assert_eq!(read, Reply::Values(values.to_vec()));
}

pub(crate) async fn a_key_reports_its_ttl(case: &Case) {
    let key = case.key("k");
    let ttl = || case.run(Op::Ttl { key: key.clone() });
    assert_eq!(ttl().await, Reply::Lives(Lives::Absent));
    case.set(&key, b"x", None).await;
    assert_eq!(ttl().await, Reply::Lives(Lives::Forever));
    case.set(&key, b"x", Some(LONG)).await;
    let Reply::Lives(Lives::For(left)) = ttl().await else {
        panic!("a key with a TTL lives for some time");
    };
    assert!(LONG / 2 < left && left <= LONG);
    // The last TTL counts.
    case.set(&key, b"x", None).await;
    assert_eq!(ttl().await, Reply::Lives(Lives::Forever));
}

/// Returns the keys of a whole scan; `between` runs after every page.
async fn scan(case: &Case, pattern: &str, mut between: impl AsyncFnMut()) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut cursor = 0;
    loop {
        let page = case.run(Op::Scan {
            cursor,
            pattern: pattern.to_owned(),
            count: 7,
        });
        let Reply::Page { cursor: next, keys } = page.await else {
            panic!("SCAN answers with a page");
        };
        found.extend(keys);
        cursor = next;
        if cursor == 0 {
            return found;
        }
        between().await;
    }
}

pub(crate) async fn a_scan_visits_every_key_that_stays(case: &Case) {
    let staying: BTreeSet<_> = (0..100)
        .map(|number| case.key(&format!("stays{number}")))
        .map(|key| key.as_str().to_owned())
        .collect();
    for name in &staying {
        case.set(&crate::entity::key::Key::new(name), b"x", None)
            .await;
    }
    for number in 0..100 {
        let key = case.key(&format!("goes{number}"));
        case.set(&key, b"x", None).await;
    }
    let mut turn = 0;
    let pattern = case.key("*");
    let found = scan(case, pattern.as_str(), async || {
        // Keys are added and removed during the scan.
        turn += 1;
        let key = case.key(&format!("goes{turn}"));
        case.run(Op::Delete { key }).await;
        let key = case.key(&format!("came{turn}"));
        case.set(&key, b"x", None).await;
    });
    assert!(found.await.is_superset(&staying));
}

pub(crate) async fn a_scan_finds_only_what_matches(case: &Case) {
    for name in ["hero:1", "hero:2", "hero:10", "hera:1", "h*ro:1", "story:1"] {
        case.set(&case.key(name), b"x", None).await;
    }
    for (pattern, names) in [
        ("hero:*", vec!["hero:1", "hero:2", "hero:10"]),
        ("hero:?", vec!["hero:1", "hero:2"]),
        ("her[a-n]:1", vec!["hera:1"]),
        ("her[^a]:1", vec!["hero:1"]),
        (r"h\*ro:*", vec!["h*ro:1"]),
        ("h*:1", vec!["hero:1", "hera:1", "h*ro:1"]),
        ("nothing", vec![]),
    ] {
        let expected: BTreeSet<_> = names
            .into_iter()
            .map(|name| case.key(name).as_str().to_owned())
            .collect();
        let found = scan(case, case.key(pattern).as_str(), async || {}).await;
        assert_eq!(found, expected, "{pattern}");
    }
}
