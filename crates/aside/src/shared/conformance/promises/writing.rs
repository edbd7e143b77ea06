//! QUARANTINE, RELEASE and INVALIDATE.

use std::time::Duration;

use crate::shared::conformance::{Case, LONG, SHORT, invalidate, quarantine, release};
use crate::shared::state::State;
use crate::shared::{Acquired, Lives, Op, Released, Reply, Token};

fn writers<const N: usize>() -> [Token; N] {
    std::array::from_fn(|_| Token::random())
}

pub(crate) async fn a_quarantine_destroys_the_value(case: &Case) {
    let key = case.key("k");
    case.store(&key, b"V1").await;
    case.quarantined_by(&key, Token::random(), LONG).await;
    assert_eq!(case.holds(&key).await, 'Q');
}

pub(crate) async fn a_quarantine_refuses_the_fill_of_a_load_that_began_before(case: &Case) {
    let key = case.key("k");
    let [token, writer] = writers();
    case.acquire(&key, token).await;
    case.quarantined_by(&key, writer, LONG).await;
    assert!(!case.fill(&key, token, b"Vold").await);
    case.release(&key, writer, None).await;
    assert!(!case.fill(&key, token, b"Vold").await);
}

pub(crate) async fn a_key_holds_exactly_what_is_written_down(case: &Case) {
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

pub(crate) async fn only_a_quarantine_that_found_none_is_clean(case: &Case) {
    let key = case.key("k");
    let [one, two] = writers();
    case.store(&key, b"V1").await;
    case.quarantined_by(&key, one, LONG).await;
    assert_eq!(case.quarantine(&key).await, (true, vec![one.to_string()]));
    case.quarantined_by(&key, two, LONG).await;
    let both = vec![one.to_string(), two.to_string()];
    assert_eq!(case.quarantine(&key).await, (false, both));
}

pub(crate) async fn a_refreshed_quarantine_is_dirty(case: &Case) {
    let key = case.key("k");
    let [writer] = writers();
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

pub(crate) async fn a_dead_record_goes_with_the_next_write(case: &Case) {
    let key = case.key("k");
    let [long, short, last] = writers();
    case.quarantined_by(&key, long, LONG).await;
    case.quarantined_by(&key, short, SHORT).await;
    case.pass(SHORT * 3).await;
    case.quarantined_by(&key, last, LONG).await;
    let living = vec![long.to_string(), last.to_string()];
    assert_eq!(case.quarantine(&key).await, (false, living));
}

pub(crate) async fn a_sole_writer_leaves_its_value(case: &Case) {
    let key = case.key("k");
    let [writer] = writers();
    case.quarantined_by(&key, writer, LONG).await;
    let released = case.release(&key, writer, Some(b"Vnew")).await;
    assert_eq!(released, Released::Stored);
    assert_eq!(case.get(&key).await, Some(b"Vnew".to_vec()));
}

pub(crate) async fn a_value_left_by_a_writer_expires(case: &Case) {
    let key = case.key("k");
    let [writer] = writers();
    case.quarantined_by(&key, writer, LONG).await;
    let op = Op::Release {
        key: key.clone(),
        writer,
        message: String::new(),
        value: Some((b"Vnew".to_vec(), SHORT)),
    };
    assert_eq!(case.run(op).await, Reply::Released(Released::Stored));
    case.pass(SHORT * 3).await;
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn a_release_without_a_value_leaves_nothing(case: &Case) {
    let key = case.key("k");
    let [writer] = writers();
    case.quarantined_by(&key, writer, LONG).await;
    let released = case.release(&key, writer, None).await;
    assert_eq!(released, Released::Intact);
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn a_release_keeps_the_other_writers_and_marks_them_dirty(case: &Case) {
    let key = case.key("k");
    let [one, two] = writers();
    case.quarantined_by(&key, one, LONG).await;
    case.quarantined_by(&key, two, LONG).await;
    let released = case.release(&key, one, Some(b"Vone")).await;
    assert_eq!(released, Released::Intact);
    assert_eq!(case.quarantine(&key).await, (false, vec![two.to_string()]));
    let lives = case.run(Op::Ttl { key: key.clone() }).await;
    assert!(matches!(lives, Reply::Lives(Lives::For(left)) if left > LONG / 2));
}

pub(crate) async fn a_writer_that_was_not_alone_leaves_no_value(case: &Case) {
    let key = case.key("k");
    let [one, two] = writers();
    case.quarantined_by(&key, one, LONG).await;
    case.quarantined_by(&key, two, LONG).await;
    case.release(&key, one, Some(b"Vone")).await;
    let released = case.release(&key, two, Some(b"Vtwo")).await;
    assert_eq!(released, Released::Intact);
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn a_writer_that_refreshed_leaves_no_value(case: &Case) {
    let key = case.key("k");
    let [writer] = writers();
    case.quarantined_by(&key, writer, LONG).await;
    case.quarantined_by(&key, writer, LONG).await;
    let released = case.release(&key, writer, Some(b"Vnew")).await;
    assert_eq!(released, Released::Intact);
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn a_lost_quarantine_takes_the_value_with_it(case: &Case) {
    let key = case.key("k");
    let [writer] = writers();
    case.quarantined_by(&key, writer, SHORT).await;
    case.pass(SHORT * 3).await;
    case.store(&key, b"Vold").await;
    let released = case.release(&key, writer, Some(b"Vnew")).await;
    assert_eq!(released, Released::Lost);
    assert_eq!(case.get(&key).await, None);
    assert_eq!(case.heard().await, ["quarantined", "lost"]);
}

pub(crate) async fn a_lost_quarantine_takes_the_lease_with_it(case: &Case) {
    let key = case.key("k");
    let [writer, token] = writers();
    case.quarantined_by(&key, writer, SHORT).await;
    case.pass(SHORT * 3).await;
    case.acquire(&key, token).await;
    let released = case.release(&key, writer, None).await;
    assert_eq!(released, Released::Lost);
    assert!(!case.fill(&key, token, b"Vold").await);
}

pub(crate) async fn a_lost_quarantine_marks_those_that_followed(case: &Case) {
    let key = case.key("k");
    let [lost, other] = writers();
    case.quarantined_by(&key, other, LONG).await;
    let released = case.release(&key, lost, Some(b"Vlost")).await;
    assert_eq!(released, Released::Lost);
    assert_eq!(case.heard().await, ["quarantined", "lost"]);
    let marked = (false, vec![other.to_string()]);
    assert_eq!(case.quarantine(&key).await, marked);
    let released = case.release(&key, other, Some(b"Vother")).await;
    assert_eq!(released, Released::Intact);
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn a_repeated_release_finds_its_record_gone(case: &Case) {
    let key = case.key("k");
    let [writer] = writers();
    case.quarantined_by(&key, writer, LONG).await;
    assert_eq!(case.release(&key, writer, None).await, Released::Intact);
    assert_eq!(case.heard().await, ["quarantined"]);
    assert_eq!(case.release(&key, writer, None).await, Released::Lost);
    assert_eq!(case.heard().await, ["lost"]);
}

pub(crate) async fn an_invalidation_destroys_the_value(case: &Case) {
    let key = case.key("k");
    case.store(&key, b"V1").await;
    case.invalidate(&key).await;
    assert_eq!(case.get(&key).await, None);
    case.invalidate(&key).await;
    assert_eq!(case.heard().await, ["invalidated", "invalidated"]);
}

pub(crate) async fn an_invalidation_refuses_the_fill_of_a_load_that_began_before(case: &Case) {
    let key = case.key("k");
    let [token] = writers();
    case.acquire(&key, token).await;
    case.invalidate(&key).await;
    assert!(!case.fill(&key, token, b"Vold").await);
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn an_invalidation_leaves_the_quarantine_and_marks_it(case: &Case) {
    let key = case.key("k");
    let [writer] = writers();
    case.quarantined_by(&key, writer, LONG).await;
    case.invalidate(&key).await;
    let marked = (false, vec![writer.to_string()]);
    assert_eq!(case.quarantine(&key).await, marked);
    let released = case.release(&key, writer, Some(b"Vnew")).await;
    assert_eq!(released, Released::Intact);
}

pub(crate) async fn every_change_is_told_in_the_order_it_happened(case: &Case) {
    let key = case.key("k");
    let [writer, reader] = writers();
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
        let [writer, token] = writers();

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
    let [token] = writers();
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
    let [one, two] = writers();
    case.quarantined_by(&key, one, Duration::MAX).await;
    case.quarantined_by(&key, two, LONG).await;
    let both = vec![one.to_string(), two.to_string()];
    assert_eq!(case.quarantine(&key).await, (false, both));
    case.set(&key, b"x", Some(Duration::MAX)).await;
}
