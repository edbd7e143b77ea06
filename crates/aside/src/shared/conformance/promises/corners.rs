//! What others put under a key of ours, and times at their limits.

use std::time::Duration;

use crate::shared::conformance::{Case, LONG, SHORT, tokens};
use crate::shared::{Acquired, Released, Token};

pub(crate) async fn foreign_bytes_count_as_absent(case: &Case) {
    let well_formed = "0".repeat(32);
    let foreign = [
        "".into(),
        "hello".into(),
        "\u{ff}".into(),
        "L".into(),
        "Ljunk".into(),
        format!("L{}", "G".repeat(32)),
        format!("L{well_formed}0"),
        "Q".into(),
        "Qjunk".into(),
        format!("Q{}", "x".repeat(500)),
        format!("Qx{well_formed}9999999999999"),
        format!("Qc{well_formed}999999999999"),
        format!("Qc{well_formed}99999999999 9"),
        format!("Qc{well_formed}+999999999999"),
        format!("Qc{well_formed}0x99999999999"),
    ];
    let key = case.key("k");
    for foreign in &foreign {
        let foreign = foreign.as_bytes();
        let plant = || case.set(&key, foreign, Some(LONG));
        let [writer, token] = tokens();

        plant().await;
        assert!(!case.fill(&key, token, b"V1").await, "{foreign:?}");
        case.abandon(&key, token).await;
        assert_eq!(case.get(&key).await.as_deref(), Some(foreign));

        assert_eq!(case.acquire(&key, token).await, Acquired::Granted);
        plant().await;
        case.quarantined_by(&key, writer, LONG).await;
        let clean = (true, vec![writer.to_string()]);
        assert_eq!(case.quarantine(&key).await, clean, "{foreign:?}");
        plant().await;
        let released = case.release(&key, writer, Some(b"V1")).await;
        assert_eq!(released, Released::Lost, "{foreign:?}");
        assert_eq!(case.get(&key).await, None);
        plant().await;
        case.invalidate(&key).await;
        assert_eq!(case.get(&key).await, None);
    }
}

pub(crate) async fn state_without_a_ttl_counts_as_absent(case: &Case) {
    let key = case.key("k");
    let [token] = tokens();
    let lease = format!("L{token}");
    let record = format!("Qc{token}9999999999999");
    for forever in [&lease, &record] {
        case.set(&key, forever.as_bytes(), None).await;
        assert!(!case.fill(&key, token, b"V1").await);
        case.abandon(&key, token).await;
        assert_eq!(case.get(&key).await.as_deref(), Some(forever.as_bytes()));
        assert_eq!(case.acquire(&key, token).await, Acquired::Granted);

        case.set(&key, forever.as_bytes(), None).await;
        let released = case.release(&key, token, Some(b"V1")).await;
        assert_eq!(released, Released::Lost);
    }
}

pub(crate) async fn a_ttl_below_a_millisecond_is_one(case: &Case) {
    let key = case.key("k");
    case.quarantined_by(&key, Token::random(), Duration::ZERO)
        .await;
    case.set(&key, b"x", Some(Duration::from_nanos(1))).await;
    case.pass(SHORT).await;
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn a_century_is_the_longest_ttl(case: &Case) {
    let key = case.key("k");
    let [one, two] = tokens();
    case.quarantined_by(&key, one, Duration::MAX).await;
    case.quarantined_by(&key, two, LONG).await;
    let both = vec![one.to_string(), two.to_string()];
    assert_eq!(case.quarantine(&key).await, (false, both));
    case.set(&key, b"x", Some(Duration::MAX)).await;
}
