//! RELEASE.

use crate::conformance::{Case, LONG, SHORT, tokens};
use crate::protocol::{Lives, Op, Released, Reply};

pub(crate) async fn a_sole_writer_leaves_its_value(case: &Case) {
    let key = case.key("k");
    let [writer] = tokens();
    case.quarantined_by(&key, writer, LONG).await;
    let released = case.release(&key, writer, Some(b"Vnew")).await;
    assert_eq!(released, Released::Stored);
    assert_eq!(case.get(&key).await, Some(b"Vnew".to_vec()));
}

pub(crate) async fn a_value_left_by_a_writer_expires(case: &Case) {
    let key = case.key("k");
    let [writer] = tokens();
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
    let [writer] = tokens();
    case.quarantined_by(&key, writer, LONG).await;
    let released = case.release(&key, writer, None).await;
    assert_eq!(released, Released::Intact);
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn a_release_marks_the_other_writers_dirty(case: &Case) {
    let key = case.key("k");
    let [one, two] = tokens();
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
    let [one, two] = tokens();
    case.quarantined_by(&key, one, LONG).await;
    case.quarantined_by(&key, two, LONG).await;
    case.release(&key, one, Some(b"Vone")).await;
    let released = case.release(&key, two, Some(b"Vtwo")).await;
    assert_eq!(released, Released::Intact);
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn a_writer_that_refreshed_leaves_no_value(case: &Case) {
    let key = case.key("k");
    let [writer] = tokens();
    case.quarantined_by(&key, writer, LONG).await;
    case.quarantined_by(&key, writer, LONG).await;
    let released = case.release(&key, writer, Some(b"Vnew")).await;
    assert_eq!(released, Released::Intact);
    assert_eq!(case.get(&key).await, None);
}

pub(crate) async fn releasing_a_lost_quarantine_removes_the_value(case: &Case) {
    let key = case.key("k");
    let [writer] = tokens();
    case.quarantined_by(&key, writer, SHORT).await;
    case.pass(SHORT * 3).await;
    case.store(&key, b"Vold").await;
    let released = case.release(&key, writer, Some(b"Vnew")).await;
    assert_eq!(released, Released::Lost);
    assert_eq!(case.get(&key).await, None);
    assert_eq!(case.heard().await, ["quarantined", "lost"]);
}

pub(crate) async fn releasing_a_lost_quarantine_removes_the_lease(case: &Case) {
    let key = case.key("k");
    let [writer, token] = tokens();
    case.quarantined_by(&key, writer, SHORT).await;
    case.pass(SHORT * 3).await;
    case.acquire(&key, token).await;
    let released = case.release(&key, writer, None).await;
    assert_eq!(released, Released::Lost);
    assert!(!case.fill(&key, token, b"Vold").await);
}

pub(crate) async fn releasing_a_lost_quarantine_marks_later_ones_dirty(case: &Case) {
    let key = case.key("k");
    let [lost, other] = tokens();
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
    let [writer] = tokens();
    case.quarantined_by(&key, writer, LONG).await;
    assert_eq!(case.release(&key, writer, None).await, Released::Intact);
    assert_eq!(case.heard().await, ["quarantined"]);
    assert_eq!(case.release(&key, writer, None).await, Released::Lost);
    assert_eq!(case.heard().await, ["lost"]);
}
