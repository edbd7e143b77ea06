//! STAMP: stamps of keys that queries depend on.

use crate::conformance::{Case, LONG, SHORT, tokens};
use crate::entity::lookup::Member;
use crate::protocol::value::{
    self, Envelope, FillContext, HEADER_BYTES, Header, KeyStamp, StampContext,
};
use crate::protocol::{Acquired, Op, Reply, Stamped, Token};

const CONTEXT: StampContext = StampContext {
    history: 0xabc,
    epoch: 1_700_000_000_000,
};

fn at(stamp: u64) -> Stamped {
    Stamped::At(KeyStamp::from_number(stamp))
}

fn value_of(fill: KeyStamp) -> Vec<u8> {
    let filled = FillContext {
        history: CONTEXT.history,
        epoch: CONTEXT.epoch,
        shape: 7,
    };
    let envelope = Envelope {
        body: "null",
        cached_at: jiff::Timestamp::UNIX_EPOCH,
        ttl: LONG,
    };
    value::encode(filled, fill, 1, Member::Entity, envelope, None).bytes
}

pub(crate) async fn a_key_without_a_stamp_gets_a_mark(case: &Case) {
    let key = case.key("k");
    assert_eq!(case.stamp(&key, CONTEXT, 1).await, at(1));
    let bytes = case.get(&key).await.unwrap();
    assert!(value::is_mark(&bytes));
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("V0000000000000abc1700000000000ffffffffffffffff0000000000000001"));
    assert!(text.ends_with("02\nmark"));
    // Another reader gets the same stamp.
    assert_eq!(case.stamp(&key, CONTEXT, 2).await, at(1));
    assert!(case.heard().await.is_empty());
}

pub(crate) async fn a_value_and_a_lease_have_stamps_of_their_own(case: &Case) {
    let key = case.key("k");
    let token = Token::random();
    case.acquire(&key, token).await;
    assert_eq!(
        case.stamp(&key, CONTEXT, 1).await,
        Stamped::At(token.stamp())
    );
    assert!(case.fill(&key, token, &value_of(token.stamp())).await);
    assert_eq!(
        case.stamp(&key, CONTEXT, 1).await,
        Stamped::At(token.stamp())
    );
}

pub(crate) async fn a_stamp_of_another_history_or_epoch_is_replaced(case: &Case) {
    let key = case.key("k");
    let history = StampContext {
        history: 1,
        ..CONTEXT
    };
    let newer = StampContext {
        epoch: CONTEXT.epoch + 1,
        ..CONTEXT
    };
    case.stamp(&key, CONTEXT, 1).await;
    assert_eq!(case.stamp(&key, newer, 2).await, at(2));
    // An older epoch is satisfied with a newer one.
    assert_eq!(case.stamp(&key, CONTEXT, 3).await, at(2));
    assert_eq!(case.stamp(&key, history, 4).await, at(4));
    let ahead = StampContext {
        epoch: 9_000_000_000_000,
        ..CONTEXT
    };
    case.set(&key, &ahead.mark(KeyStamp::from_number(5), 0), Some(LONG))
        .await;
    assert_eq!(case.stamp(&key, CONTEXT, 6).await, at(6));
}

pub(crate) async fn a_quarantined_key_has_no_stamp(case: &Case) {
    let key = case.key("k");
    let [writer] = tokens();
    case.stamp(&key, CONTEXT, 1).await;
    case.quarantined_by(&key, writer, LONG).await;
    assert_eq!(case.stamp(&key, CONTEXT, 2).await, Stamped::Quarantined);
    assert_eq!(case.holds(&key).await, 'Q');
    case.release(&key, writer, None).await;
    assert_eq!(case.stamp(&key, CONTEXT, 3).await, at(3));
}

pub(crate) async fn every_write_destroys_a_mark(case: &Case) {
    let key = case.key("k");
    let [writer, lost] = tokens();
    case.stamp(&key, CONTEXT, 1).await;
    case.quarantined_by(&key, writer, LONG).await;
    case.release(&key, writer, None).await;
    assert_eq!(case.get(&key).await, None);
    case.stamp(&key, CONTEXT, 2).await;
    case.release(&key, lost, None).await;
    assert_eq!(case.get(&key).await, None);
    case.stamp(&key, CONTEXT, 3).await;
    case.invalidate(&key).await;
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn a_mark_is_replaced_by_the_reader_that_saw_it(case: &Case) {
    let key = case.key("k");
    let [token] = tokens();
    case.stamp(&key, CONTEXT, 1).await;
    let mark = case.get(&key).await.unwrap();
    assert!(matches!(
        case.acquire(&key, token).await,
        Acquired::Value(_)
    ));
    let seen = Some(&mark[..HEADER_BYTES]);
    assert_eq!(
        case.acquire_for(&key, token, LONG, seen).await,
        Acquired::Granted
    );
}

pub(crate) async fn a_mark_is_prolonged_under_its_stamp(case: &Case) {
    let key = case.key("k");
    case.stamp_for(&key, CONTEXT, 1, SHORT * 50).await;
    let end = |bytes: Vec<u8>| Header::parse(&bytes).unwrap().version;
    let before = end(case.get(&key).await.unwrap());
    // More than half of the time is left.
    case.stamp_for(&key, CONTEXT, 2, SHORT * 50).await;
    assert_eq!(end(case.get(&key).await.unwrap()), before);
    assert_eq!(case.stamp(&key, CONTEXT, 3).await, at(1));
    assert!(before + 50_000 < end(case.get(&key).await.unwrap()));
    case.pass(SHORT * 60).await;
    assert_eq!(case.stamp(&key, CONTEXT, 4).await, at(1));
}

pub(crate) async fn a_mark_expires(case: &Case) {
    let key = case.key("k");
    case.stamp_for(&key, CONTEXT, 1, SHORT).await;
    case.pass(SHORT * 3).await;
    assert_eq!(case.get(&key).await, None);
    assert_eq!(case.stamp(&key, CONTEXT, 2).await, at(2));
}

/// A version that does not know marks judges the header, and destroys the value.
pub(crate) async fn an_older_version_sees_a_mark_as_a_value(case: &Case) {
    let key = case.key("k");
    case.stamp(&key, CONTEXT, 1).await;
    let bytes = case.get(&key).await.unwrap();
    assert_ne!(bytes.len(), HEADER_BYTES, "it would be a value that is cut");
    let ours = FillContext {
        history: CONTEXT.history,
        epoch: CONTEXT.epoch,
        shape: 7,
    };
    let judged = Header::parse(&bytes)
        .unwrap()
        .judge(ours, jiff::Timestamp::now());
    assert_eq!(judged, Err(value::Unacceptable::OtherShape));
}

pub(crate) async fn only_a_header_is_read(case: &Case) {
    let key = case.key("k");
    let header = || case.run(Op::GetHeader { key: key.clone() });
    assert_eq!(header().await, Reply::Value(None));
    case.set(&key, &[b'V'; 1000], Some(LONG)).await;
    let beginning = [b'V'; HEADER_BYTES].to_vec();
    assert_eq!(header().await, Reply::Value(Some(beginning.into())));
}
