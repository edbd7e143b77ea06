//! BUMP and HISTORY: epochs and eras.

use crate::conformance::Case;
use crate::entity::key::Key;
use crate::protocol::{Begin, Bump, Era, Op, Reply};

async fn bump(case: &Case, key: &Key, kind: &str, known: u64, raise: bool) -> u64 {
    let how = if raise { Bump::Always } else { Bump::IfOlder };
    bump_as(case, key, kind, known, how).await
}

async fn bump_as(case: &Case, key: &Key, kind: &str, known: u64, how: Bump) -> u64 {
    let op = Op::Bump {
        key: key.clone(),
        kind: kind.to_owned(),
        known,
        how,
        era: Era(0xe4a),
        message: "E 0000000000000007".to_owned(),
    };
    match case.run(op).await {
        Reply::Epoch(epoch) => epoch,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn two_bumps_at_once_both_count(case: &Case) {
    let key = case.key("epochs");
    let first = bump(case, &key, "hero", 0, true).await;
    let second = bump(case, &key, "hero", 0, true).await;
    assert!(1_600_000_000_000 < first && first < second);
    let other = bump(case, &key, "child", 0, true).await;
    assert!(bump(case, &key, "hero", 0, false).await == second && 0 < other);
}

pub(crate) async fn an_existing_epoch_is_only_read(case: &Case) {
    let key = case.key("epochs");
    let first = bump(case, &key, "hero", 0, false).await;
    case.heard().await;
    assert_eq!(bump(case, &key, "hero", first, false).await, first);
    assert_eq!(case.heard().await, [""; 0]);
}

pub(crate) async fn a_new_epoch_exceeds_the_callers(case: &Case) {
    let key = case.key("epochs");
    let ahead = bump(case, &key, "hero", 0, true).await + 10_000;
    assert_eq!(bump(case, &key, "hero", ahead, false).await, ahead + 1);
    assert_eq!(bump(case, &key, "hero", ahead, true).await, ahead + 2);
}

pub(crate) async fn a_copy_of_an_epoch_is_only_raised(case: &Case) {
    let key = case.key("epochs");
    assert_eq!(bump_as(case, &key, "hero", 0, Bump::ToKnown).await, 0);
    let known = bump(case, &key, "child", 0, true).await;
    assert_eq!(
        bump_as(case, &key, "hero", known, Bump::ToKnown).await,
        known
    );
    case.heard().await;
    assert_eq!(
        bump_as(case, &key, "hero", known, Bump::ToKnown).await,
        known
    );
    assert_eq!(
        bump_as(case, &key, "hero", known - 1, Bump::ToKnown).await,
        known
    );
    assert_eq!(case.heard().await, [""; 0]);
    assert_eq!(
        bump_as(case, &key, "hero", known + 1, Bump::ToKnown).await,
        known + 1
    );
    assert_eq!(case.heard().await.len(), 1);
}

pub(crate) async fn a_new_epoch_is_published(case: &Case) {
    let key = case.key("epochs");
    case.heard().await;
    let epoch = bump(case, &key, "hero", 0, true).await;
    let message = format!("E 0000000000000007 {epoch:013} hero");
    assert_eq!(case.heard().await, [message]);
}

async fn history(
    case: &Case,
    key: &Key,
    era: Option<(u64, Begin)>,
    known: Option<(&str, &str)>,
) -> (u64, String) {
    let op = Op::History {
        key: key.clone(),
        era: era.map(|(era, begin)| (Era(era), begin)),
        known: known.map(|(expected, new)| (expected.to_owned(), new.to_owned())),
    };
    match case.run(op).await {
        Reply::History { era, known } => (era.0, known),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn an_implausible_epoch_begins_an_era(case: &Case) {
    let key = case.key("epochs");
    let first = bump(case, &key, "hero", 0, true).await;
    assert_eq!(history(case, &key, None, None).await.0, 0);
    let ahead = first + 1_000_000;
    let healed = bump(case, &key, "hero", ahead, false).await;
    assert!(first < healed && healed < ahead, "{first} {healed}");
    assert_eq!(history(case, &key, None, None).await.0, 0xe4a);
    // A plausible epoch begins no era.
    history(case, &key, Some((7, Begin::Always)), None).await;
    bump(case, &key, "hero", healed, true).await;
    assert_eq!(history(case, &key, None, None).await.0, 7);
}

pub(crate) async fn a_missing_epoch_is_not_raised_if_there(case: &Case) {
    let key = case.key("epochs");
    case.heard().await;
    assert_eq!(bump_as(case, &key, "hero", 0, Bump::IfThere).await, 0);
    assert_eq!(case.heard().await, [""; 0]);
    let first = bump(case, &key, "hero", 0, true).await;
    assert!(first < bump_as(case, &key, "hero", 0, Bump::IfThere).await);
    assert_eq!(case.heard().await.len(), 2);
}

pub(crate) async fn of_two_concurrent_eras_only_one_begins(case: &Case) {
    let key = case.key("epochs");
    let begin = |era| Some((era, Begin::Always));
    let one = history(case, &key, begin(1), Some(("", "a"))).await;
    let other = history(case, &key, begin(2), Some(("", "b"))).await;
    assert_eq!(one, (1, "a".to_owned()));
    assert_eq!(other, one);
    let next = history(case, &key, begin(3), Some(("a", "c"))).await;
    assert_eq!(next, (3, "c".to_owned()));
    assert_eq!(history(case, &key, None, Some(("c", "d"))).await.0, 3);
}

pub(crate) async fn an_existing_era_is_not_replaced_as_missing(case: &Case) {
    let key = case.key("epochs");
    let missing = |era| Some((era, Begin::IfMissing));
    assert_eq!(history(case, &key, missing(1), None).await.0, 1);
    assert_eq!(history(case, &key, missing(2), None).await.0, 1);
}
