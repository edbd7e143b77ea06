//! Foreign bytes under cached keys, and extreme times.

use std::time::Duration;

use crate::conformance::{Case, LONG, SHORT, tokens};
use crate::protocol::state::MAX_RECORDS;
use crate::protocol::{Acquired, Released, Token};

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
    }
}

pub(crate) async fn an_invalidation_keeps_foreign_bytes(case: &Case) {
    let key = case.key("k");
    let foreign: [&[u8]; 5] = [b"", b"hello", b"Vienna", b"Lisbon", b"Qc"];
    for foreign in foreign {
        case.set(&key, foreign, None).await;
        case.invalidate(&key).await;
        assert_eq!(case.get(&key).await.as_deref(), Some(foreign));
    }
}

/// Encodes a quarantine of `writers` writers.
fn crowd(writers: usize, deadline: u64) -> Vec<u8> {
    let records = (0..writers).map(|writer| format!("{writer:032x}{deadline:013}"));
    format!("Qd{}", records.collect::<String>()).into_bytes()
}

/// Returns about the server's time plus a minute.
async fn later(case: &Case) -> u64 {
    let key = case.key("clock");
    case.quarantined_by(&key, Token::random(), LONG).await;
    let bytes = case.get(&key).await.expect("a quarantine");
    String::from_utf8_lossy(&bytes[34..47])
        .parse()
        .expect("digits")
}

pub(crate) async fn a_quarantine_of_too_many_writers_counts_as_absent(case: &Case) {
    let key = case.key("k");
    let deadline = later(case).await;
    let [token] = tokens();
    case.set(&key, &crowd(MAX_RECORDS, deadline), Some(LONG))
        .await;
    assert_eq!(case.acquire(&key, token).await, Acquired::Quarantined);
    case.set(&key, &crowd(MAX_RECORDS + 1, deadline), Some(LONG))
        .await;
    assert_eq!(case.acquire(&key, token).await, Acquired::Granted);
}

pub(crate) async fn a_full_quarantine_makes_room_for_its_next_writer(case: &Case) {
    let key = case.key("k");
    let deadline = later(case).await;
    let [writer] = tokens();
    case.set(&key, &crowd(MAX_RECORDS, deadline), Some(LONG))
        .await;
    case.quarantined_by(&key, writer, LONG).await;
    let (clean, writers) = case.quarantine(&key).await;
    assert!(!clean && writers.len() == MAX_RECORDS);
    assert_eq!(writers.first(), Some(&format!("{:032x}", 1)));
    assert_eq!(writers.last(), Some(&writer.to_string()));
}

pub(crate) async fn a_writer_far_ahead_of_the_clock_counts_as_expired(case: &Case) {
    let key = case.key("k");
    let [token] = tokens();
    case.set(&key, &crowd(2, 9_999_999_999_999), Some(LONG))
        .await;
    assert_eq!(case.acquire(&key, token).await, Acquired::Granted);
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
    // So far ahead it counts as expired for other writers; see above.
    case.quarantined_by(&key, two, LONG).await;
    assert_eq!(case.quarantine(&key).await, (false, vec![two.to_string()]));
    case.set(&key, b"x", Some(Duration::MAX)).await;
}
