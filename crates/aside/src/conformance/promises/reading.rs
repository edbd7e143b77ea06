//! ACQUIRE, FILL and ABANDON.

use crate::conformance::{Case, LONG, SHORT, fill};
use crate::protocol::{Acquired, Reply, Token};

pub(crate) async fn an_absent_key_is_granted_to_the_first_reader(case: &Case) {
    let key = case.key("k");
    assert_eq!(case.acquire(&key, Token::random()).await, Acquired::Granted);
    assert_eq!(case.holds(&key).await, 'L');
}

pub(crate) async fn a_second_reader_waits_while_the_first_fills(case: &Case) {
    let key = case.key("k");
    case.acquire(&key, Token::random()).await;
    assert_eq!(case.acquire(&key, Token::random()).await, Acquired::Wait);
}

pub(crate) async fn a_value_filled_meanwhile_is_returned(case: &Case) {
    let key = case.key("k");
    case.store(&key, b"V1").await;
    assert_eq!(
        case.acquire(&key, Token::random()).await,
        Acquired::Value(b"V1".to_vec())
    );
}

pub(crate) async fn only_the_rejected_value_is_replaced(case: &Case) {
    let key = case.key("k");
    case.store(&key, b"Vnew payload").await;

    let token = Token::random();
    let judged_another = case.acquire_for(&key, token, LONG, Some(b"Vold")).await;
    assert_eq!(judged_another, Acquired::Value(b"Vnew payload".to_vec()));

    let judged_longer = case
        .acquire_for(&key, token, LONG, Some(b"Vnew payload and more"))
        .await;
    assert_eq!(judged_longer, Acquired::Value(b"Vnew payload".to_vec()));

    let judged_nothing = case.acquire_for(&key, token, LONG, Some(b"")).await;
    assert_eq!(judged_nothing, Acquired::Value(b"Vnew payload".to_vec()));

    let judged_this = case.acquire_for(&key, token, LONG, Some(b"Vnew")).await;
    assert_eq!(judged_this, Acquired::Granted);
    assert!(case.fill(&key, token, b"Vnewer").await);
}

pub(crate) async fn a_reader_is_refused_during_a_write(case: &Case) {
    let key = case.key("k");
    case.quarantined_by(&key, Token::random(), LONG).await;
    let acquired = case.acquire(&key, Token::random()).await;
    assert_eq!(acquired, Acquired::Quarantined);
    assert_eq!(case.holds(&key).await, 'Q');
}

pub(crate) async fn an_expired_lease_is_granted_anew_and_its_fill_refused(case: &Case) {
    let key = case.key("k");
    let (slow, quick) = (Token::random(), Token::random());
    case.acquire_for(&key, slow, SHORT, None).await;
    case.pass(SHORT * 3).await;
    assert_eq!(case.acquire(&key, quick).await, Acquired::Granted);
    assert!(!case.fill(&key, slow, b"Vold").await);
    assert!(case.fill(&key, quick, b"Vnew").await);
}

pub(crate) async fn only_the_holder_of_the_token_fills(case: &Case) {
    let key = case.key("k");
    let stranger = Token::from_number(7);
    assert!(!case.fill(&key, stranger, b"V1").await);
    assert_eq!(case.get(&key).await, None);

    case.acquire(&key, Token::from_number(8)).await;
    assert!(!case.fill(&key, stranger, b"V1").await);
    assert_eq!(case.holds(&key).await, 'L');
    assert!(case.fill(&key, Token::from_number(8), b"V1").await);
    assert_eq!(case.get(&key).await, Some(b"V1".to_vec()));
}

pub(crate) async fn a_lease_fills_once(case: &Case) {
    let key = case.key("k");
    let token = Token::random();
    case.acquire(&key, token).await;
    assert!(case.fill(&key, token, b"V1").await);
    assert!(!case.fill(&key, token, b"V2").await);
    assert_eq!(case.get(&key).await, Some(b"V1".to_vec()));
}

pub(crate) async fn a_filled_value_expires(case: &Case) {
    let key = case.key("k");
    let token = Token::random();
    case.acquire(&key, token).await;
    let filled = case.run(fill(&key, token, b"V1", SHORT)).await;
    assert_eq!(filled, Reply::Filled(true));
    case.pass(SHORT * 3).await;
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn an_abandoned_lease_is_granted_to_the_next(case: &Case) {
    let key = case.key("k");
    let token = Token::random();
    case.acquire(&key, token).await;
    case.abandon(&key, token).await;
    assert_eq!(case.get(&key).await, None);
    assert_eq!(case.acquire(&key, Token::random()).await, Acquired::Granted);
    assert!(!case.fill(&key, token, b"Vold").await);
}

pub(crate) async fn a_late_abandon_removes_nothing(case: &Case) {
    let (absent, filled, leased) = (case.key("a"), case.key("f"), case.key("l"));
    let quarantined = case.key("q");
    let late = Token::random();
    case.store(&filled, b"V1").await;
    case.acquire(&leased, Token::random()).await;
    case.quarantined_by(&quarantined, late, LONG).await;
    for key in [&absent, &filled, &leased, &quarantined] {
        case.abandon(key, late).await;
    }
    assert_eq!(case.get(&absent).await, None);
    assert_eq!(case.holds(&filled).await, 'V');
    assert_eq!(case.holds(&leased).await, 'L');
    assert_eq!(case.holds(&quarantined).await, 'Q');
}
