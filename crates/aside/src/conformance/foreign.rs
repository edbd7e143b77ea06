//! Arbitrary bytes under a cached key: no script fails on them, and Redis and
//! `memory://` treat them alike.

use std::time::Duration;

use aside_testkit::RedisServer;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::on_memory::OnMemory;
use super::on_redis::OnRedis;
use super::{Case, LONG, fill, invalidate, quarantine, release};
use crate::entity::key::Key;
use crate::memory::MemoryTier;
use crate::protocol::state::State;
use crate::protocol::value::{self, Header, StampContext};
use crate::protocol::{Acquired, Op, Reply, Token};

/// The writer and token of all operations.
fn ours() -> Token {
    Token::from_number(7)
}

/// Generates bytes close to a quarantine, to reach the corner cases of its
/// parser: valid and malformed records, expired and far from their deadline.
fn nearly_a_quarantine() -> impl Strategy<Value = Vec<u8>> {
    let record = prop_oneof![
        8 => Just(format!("{}9000000000000", ours())),
        8 => Just(format!("{}0000000000001", ours())),
        // Twice, which no writer produces, and shifted.
        2 => Just(format!("{0}9000000000000{0}9000000000001", ours())),
        2 => "0[0-9a-f]{31}9[0-9]{12}",
        8 => "[0-9a-f]{32}9[0-9]{12}",
        8 => "[0-9a-f]{32}0[0-9]{12}",
        1 => "[0-9A-Fa-f]{32}[0-9 .+ex-]{13}",
        1 => ".{0,50}",
    ];
    let records = prop::collection::vec(record, 0..4);
    ("Q[cdx]", records).prop_map(|(head, records)| (head + &records.concat()).into_bytes())
}

fn foreign() -> impl Strategy<Value = Vec<u8>> {
    let any_after = |first: &'static [u8]| {
        let rest = prop::collection::vec(any::<u8>(), 0..100);
        rest.prop_map(move |rest| [first, &rest].concat())
    };
    prop_oneof![
        1 => any_after(b""),
        1 => any_after(b"Q"),
        1 => any_after(b"V"),
        1 => any_after(b"L"),
        1 => Just(format!("L{}", ours()).into_bytes()),
        1 => "L[0-9a-fA-F]{31,33}".prop_map(String::into_bytes),
        6 => nearly_a_quarantine(),
    ]
}

fn every_script(key: &Key) -> [Op; 9] {
    let acquire = |observed: Option<&[u8]>| Op::Acquire {
        key: key.clone(),
        token: ours(),
        lease: LONG,
        observed: observed.map(<[u8]>::to_vec),
    };
    [
        acquire(None),
        acquire(Some(b"V")),
        fill(key, ours(), b"V1", LONG),
        Op::Abandon {
            key: key.clone(),
            token: ours(),
        },
        Op::Stamp {
            key: key.clone(),
            context: StampContext {
                history: 1,
                epoch: 1,
            },
            stamp: ours().stamp(),
            ttl: LONG,
        },
        quarantine(key, ours(), LONG),
        release(key, ours(), None),
        release(key, ours(), Some(b"V1")),
        invalidate(key),
    ]
}

/// Formats the state after an operation, without its deadlines.
async fn outcome(
    case: &Case,
    key: &Key,
    planted: (&[u8], Option<Duration>),
    op: &Op,
) -> (Reply, String) {
    let (bytes, ttl) = planted;
    case.set(key, bytes, ttl).await;
    let reply = case.run(op.clone()).await;
    let left = match case.get(key).await {
        None => "nothing".to_owned(),
        Some(left) => match State::of(&left, true) {
            State::Quarantine(held) => {
                let writers = held.records.iter().map(|record| record.writer.as_str());
                format!("{} {:?}", held.clean, writers.collect::<Vec<_>>())
            }
            State::Value if value::is_mark(&left) => {
                format!("{:?}", Header::parse(&left).map(|mark| mark.stamp))
            }
            _ => format!("{left:?}"),
        },
    };
    (reply, left)
}

#[test]
fn scripts_agree_on_arbitrary_bytes() {
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let redis = Case::new(OnRedis::shared());
    let memory = Case::new(OnMemory::open(MemoryTier::private(1 << 20)));
    let key = redis.key("k");
    proptest!(|(bytes in foreign(), expires in any::<bool>())| {
        let ttl = expires.then_some(LONG);
        for op in every_script(&key) {
            let on_redis = runtime.block_on(outcome(&redis, &key, (&bytes, ttl), &op));
            let on_memory = runtime.block_on(outcome(&memory, &key, (&bytes, ttl), &op));
            prop_assert_eq!(&on_redis, &on_memory, "{:?}", op);
            if let Reply::Acquired(Acquired::Value(value)) = on_redis.0 {
                prop_assert_eq!(&value, &bytes);
                prop_assert_eq!(value[0], b'V');
            }
        }
    });
}

/// Returns true if a scan for `pattern` finds the only key.
async fn found(case: &Case, key: &Key, pattern: &Key) -> bool {
    case.set(key, b"x", None).await;
    let scan = Op::Scan {
        cursor: 0,
        pattern: pattern.as_str().to_owned(),
        count: 1_000_000,
    };
    let Reply::Page { cursor: 0, keys } = case.run(scan).await else {
        panic!("one page was enough");
    };
    case.run(Op::Delete { key: key.clone() }).await;
    !keys.is_empty()
}

#[test]
fn patterns_match_alike_in_memory_and_redis() {
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let server = RedisServer::start().expect("redis-server or valkey-server");
    let redis = Case::new(OnRedis::open(&server));
    let memory = Case::new(OnMemory::open(MemoryTier::private(1 << 20)));
    let pieces = prop::collection::vec(r"[abc?*\\^\-]|\[[abc^\\\-]{0,4}\]?", 0..6);
    proptest!(ProptestConfig::with_cases(1000), |(
        text in "[abc^\\[\\]-]{0,6}",
        pattern in pieces.prop_map(|pieces| pieces.concat()),
    )| {
        let (key, pattern) = (Key::new(&format!("k{text}")), Key::new(&format!("k{pattern}")));
        prop_assert_eq!(
            runtime.block_on(found(&redis, &key, &pattern)),
            runtime.block_on(found(&memory, &key, &pattern))
        );
    });
}
