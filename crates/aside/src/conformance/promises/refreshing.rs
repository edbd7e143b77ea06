//! REFRESH, and the FILL of a claimed value.

use crate::conformance::{Case, LONG, SHORT, tokens};
use crate::entity::key::Key;
use crate::entity::lookup::Member;
use crate::protocol::value::{self, Envelope, FillContext, HEADER_BYTES, Header, KeyStamp};
use crate::protocol::{Acquired, Lives, Op, Reply, Token};

fn value_of(fill: KeyStamp, body: &str) -> Vec<u8> {
    let envelope = Envelope {
        body,
        cached_at: jiff::Timestamp::UNIX_EPOCH,
        ttl: LONG,
    };
    value::encode(
        FillContext::default(),
        fill,
        1,
        Member::Entity,
        envelope,
        None,
    )
    .bytes
}

/// Stores a value, and returns the id of its fill.
async fn filled(case: &Case, key: &Key) -> KeyStamp {
    let fill = KeyStamp::random();
    case.store(key, &value_of(fill, "1")).await;
    fill
}

pub(crate) async fn a_value_is_refreshed_by_its_first_claimant(case: &Case) {
    let key = case.key("k");
    let [first, second] = tokens();
    let fill = filled(case, &key).await;
    assert!(case.refresh(&key, fill, first).await);
    assert!(!case.refresh(&key, fill, second).await);
    // A repetition does not lose to itself.
    assert!(case.refresh(&key, fill, first).await);

    let newer = value_of(first.stamp(), "2");
    assert!(
        !case
            .fill(&key, second, &value_of(second.stamp(), "3"))
            .await
    );
    assert!(case.fill(&key, first, &newer).await);
    assert_eq!(case.get(&key).await.unwrap(), newer);
    assert!(!case.fill(&key, first, &value_of(first.stamp(), "3")).await);
    assert!(case.heard().await.is_empty());
}

pub(crate) async fn a_claim_leaves_the_value_and_its_ttl(case: &Case) {
    let key = case.key("k");
    let fill = filled(case, &key).await;
    let before = case.get(&key).await.unwrap();
    assert!(!Header::parse(&before).unwrap().is_claimed());
    let token = Token::random();
    assert!(case.refresh(&key, fill, token).await);

    let after = case.get(&key).await.unwrap();
    let header = Header::parse(&after).unwrap();
    assert!(header.is_claimed());
    assert_eq!(header.stamp, fill);
    assert_eq!(&after[82..114], token.to_string().as_bytes());
    assert_eq!(after[HEADER_BYTES..], before[HEADER_BYTES..]);
    match case.run(Op::Ttl { key }).await {
        Reply::Lives(Lives::For(left)) => assert!(LONG / 2 < left && left <= LONG, "{left:?}"),
        other => panic!("PTTL answered {other:?}"),
    }
}

pub(crate) async fn only_the_judged_value_is_claimed(case: &Case) {
    let key = case.key("k");
    let fill = filled(case, &key).await;
    let other = KeyStamp::from_number(fill.number() ^ 1);
    assert!(!case.refresh(&key, other, Token::random()).await);
    // A local entry keeps the lower 48 bits.
    let kept = KeyStamp::from_number(fill.fill());
    assert!(case.refresh(&key, kept, Token::random()).await);
}

pub(crate) async fn a_write_ends_a_claim(case: &Case) {
    let [token, writer] = tokens();
    let key = case.key("written");
    let fill = filled(case, &key).await;
    assert!(case.refresh(&key, fill, token).await);
    case.quarantined_by(&key, writer, LONG).await;
    assert!(!case.fill(&key, token, &value_of(token.stamp(), "2")).await);
    let left = value_of(writer.stamp(), "3");
    case.release(&key, writer, Some(&left)).await;
    assert!(!case.fill(&key, token, &value_of(token.stamp(), "2")).await);
    assert_eq!(case.get(&key).await.unwrap(), left);

    let key = case.key("invalidated");
    let fill = filled(case, &key).await;
    assert!(case.refresh(&key, fill, token).await);
    case.invalidate(&key).await;
    assert!(!case.fill(&key, token, &value_of(token.stamp(), "2")).await);
    assert_eq!(case.holds(&key).await, '.');
}

pub(crate) async fn a_claim_ends_with_its_value(case: &Case) {
    let key = case.key("k");
    let [lease, token] = tokens();
    case.acquire(&key, lease).await;
    let fill = KeyStamp::random();
    let op = Op::Fill {
        key: key.clone(),
        token: lease,
        value: value_of(fill, "1"),
        ttl: SHORT,
    };
    assert_eq!(case.run(op).await, Reply::Filled(true));
    assert!(case.refresh(&key, fill, token).await);
    case.pass(SHORT * 3).await;
    assert!(!case.fill(&key, token, &value_of(token.stamp(), "2")).await);
    assert_eq!(case.holds(&key).await, '.');
}

pub(crate) async fn a_claimed_value_is_replaced_by_a_reader_that_rejects_it(case: &Case) {
    let key = case.key("k");
    let [token, reader] = tokens();
    let fill = filled(case, &key).await;
    assert!(case.refresh(&key, fill, token).await);
    let header = case.get(&key).await.unwrap()[..HEADER_BYTES].to_vec();
    let acquired = case.acquire_for(&key, reader, LONG, Some(&header)).await;
    assert_eq!(acquired, Acquired::Granted);
    assert!(!case.fill(&key, token, &value_of(token.stamp(), "2")).await);
    assert!(
        case.fill(&key, reader, &value_of(reader.stamp(), "3"))
            .await
    );
}

pub(crate) async fn no_other_state_is_claimed(case: &Case) {
    let [token, other] = tokens();
    let fill = KeyStamp::from_number(0);
    let absent = case.key("absent");
    assert!(!case.refresh(&absent, fill, token).await);
    assert_eq!(case.holds(&absent).await, '.');
    let leased = case.key("leased");
    case.acquire(&leased, other).await;
    assert!(!case.refresh(&leased, fill, token).await);
    let written = case.key("written");
    case.quarantined_by(&written, other, LONG).await;
    assert!(!case.refresh(&written, fill, token).await);
    let foreign = case.key("foreign");
    for bytes in [&b"V1"[..], b"Vienna", &[b'V'; 200]] {
        case.set(&foreign, bytes, Some(LONG)).await;
        assert!(!case.refresh(&foreign, fill, token).await);
        assert_eq!(case.get(&foreign).await.unwrap(), bytes);
    }
}
