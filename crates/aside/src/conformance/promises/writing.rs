//! QUARANTINE and INVALIDATE.

use crate::conformance::{Case, LONG, SHORT, invalidate, quarantine, release, tokens};
use crate::protocol::state::State;
use crate::protocol::{Acquired, Op, Released, Token};

pub(crate) async fn a_quarantine_removes_the_value(case: &Case) {
    let key = case.key("k");
    case.store(&key, b"V1").await;
    case.quarantined_by(&key, Token::random(), LONG).await;
    assert_eq!(case.holds(&key).await, 'Q');
}

pub(crate) async fn a_quarantine_refuses_fills_of_earlier_loads(case: &Case) {
    let key = case.key("k");
    let [token, writer] = tokens();
    case.acquire(&key, token).await;
    case.quarantined_by(&key, writer, LONG).await;
    assert!(!case.fill(&key, token, b"Vold").await);
    case.release(&key, writer, None).await;
    assert!(!case.fill(&key, token, b"Vold").await);
}

pub(crate) async fn a_quarantine_has_the_documented_format(case: &Case) {
    let (leased, quarantined) = (case.key("l"), case.key("q"));
    let [one, two] = [Token::from_number(0xabc), Token::from_number(u128::MAX)];
    case.acquire(&leased, one).await;
    assert_eq!(
        case.get(&leased).await.unwrap(),
        b"L00000000000000000000000000000abc"
    );

    case.quarantined_by(&quarantined, one, LONG).await;
    case.quarantined_by(&quarantined, two, LONG).await;
    let bytes = case.get(&quarantined).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.len(), 2 + 2 * (32 + 13));
    assert!(text.starts_with("Qd00000000000000000000000000000abc1"));
    assert_eq!(text[47..79], "f".repeat(32));
    let State::Quarantine(held) = State::of(text.as_bytes(), true) else {
        panic!("{text}");
    };
    // Both deadlines are a minute from now on the same clock.
    let [first, second] = [&held.records[0], &held.records[1]];
    assert!(first.deadline <= second.deadline);
    assert!(second.deadline - first.deadline < 30_000);
}

pub(crate) async fn only_the_first_quarantine_is_clean(case: &Case) {
    let key = case.key("k");
    let [one, two] = tokens();
    case.store(&key, b"V1").await;
    case.quarantined_by(&key, one, LONG).await;
    assert_eq!(case.quarantine(&key).await, (true, vec![one.to_string()]));
    case.quarantined_by(&key, two, LONG).await;
    let both = vec![one.to_string(), two.to_string()];
    assert_eq!(case.quarantine(&key).await, (false, both));
}

pub(crate) async fn a_refreshed_quarantine_is_dirty(case: &Case) {
    let key = case.key("k");
    let [writer] = tokens();
    case.quarantined_by(&key, writer, LONG).await;
    case.quarantined_by(&key, writer, LONG).await;
    let (clean, records) = case.quarantine(&key).await;
    assert_eq!((clean, records), (false, vec![writer.to_string()]));
}

pub(crate) async fn a_quarantine_ends_at_its_deadline(case: &Case) {
    let key = case.key("k");
    case.quarantined_by(&key, Token::random(), SHORT).await;
    case.pass(SHORT * 3).await;
    assert_eq!(case.get(&key).await, None);
    assert_eq!(case.acquire(&key, Token::random()).await, Acquired::Granted);
}

pub(crate) async fn a_quarantine_lasts_until_the_latest_deadline(case: &Case) {
    let (lengthened, kept) = (case.key("a"), case.key("b"));
    case.quarantined_by(&lengthened, Token::random(), SHORT)
        .await;
    case.quarantined_by(&lengthened, Token::random(), LONG)
        .await;
    case.quarantined_by(&kept, Token::random(), LONG).await;
    case.quarantined_by(&kept, Token::random(), SHORT).await;
    case.pass(SHORT * 3).await;
    for key in [&lengthened, &kept] {
        let acquired = case.acquire(key, Token::random()).await;
        assert_eq!(acquired, Acquired::Quarantined);
    }
}

pub(crate) async fn the_next_write_removes_an_expired_record(case: &Case) {
    let key = case.key("k");
    let [long, short, last] = tokens();
    case.quarantined_by(&key, long, LONG).await;
    case.quarantined_by(&key, short, SHORT).await;
    case.pass(SHORT * 3).await;
    case.quarantined_by(&key, last, LONG).await;
    let living = vec![long.to_string(), last.to_string()];
    assert_eq!(case.quarantine(&key).await, (false, living));
}

pub(crate) async fn an_invalidation_removes_the_value(case: &Case) {
    let key = case.key("k");
    case.store(&key, &[b"V".as_slice(), &[b'0'; 116]].concat())
        .await;
    case.invalidate(&key).await;
    assert_eq!(case.get(&key).await, None);
    case.invalidate(&key).await;
    assert_eq!(case.heard().await, ["invalidated", "invalidated"]);
}

pub(crate) async fn an_invalidation_refuses_fills_of_earlier_loads(case: &Case) {
    let key = case.key("k");
    let [token] = tokens();
    case.acquire(&key, token).await;
    case.invalidate(&key).await;
    assert!(!case.fill(&key, token, b"Vold").await);
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn an_invalidation_marks_the_quarantine_dirty(case: &Case) {
    let key = case.key("k");
    let [writer] = tokens();
    case.quarantined_by(&key, writer, LONG).await;
    case.invalidate(&key).await;
    let marked = (false, vec![writer.to_string()]);
    assert_eq!(case.quarantine(&key).await, marked);
    let released = case.release(&key, writer, Some(b"Vnew")).await;
    assert_eq!(released, Released::Intact);
}

pub(crate) async fn changes_are_published_in_order(case: &Case) {
    let key = case.key("k");
    let [writer, reader] = tokens();
    let replies = case
        .pipeline(vec![
            quarantine(&key, writer, LONG),
            release(&key, writer, Some(b"V1")),
            invalidate(&key),
            Op::Acquire {
                key: key.clone(),
                token: reader,
                lease: LONG,
                observed: None,
            },
            release(&key, writer, None),
            quarantine(&key, writer, LONG),
        ])
        .await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(
        case.heard().await,
        ["quarantined", "invalidated", "lost", "quarantined"]
    );
}
