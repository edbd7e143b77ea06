//! BUMP: the epochs.

use crate::key::Key;
use crate::shared::conformance::Case;
use crate::shared::{Op, Reply};

async fn bump(case: &Case, key: &Key, kind: &str, known: u64, raise: bool) -> u64 {
    let op = Op::Bump {
        key: key.clone(),
        kind: kind.to_owned(),
        known,
        raise,
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

pub(crate) async fn an_epoch_that_is_there_is_only_asked_for(case: &Case) {
    let key = case.key("epochs");
    let first = bump(case, &key, "hero", 0, false).await;
    case.heard().await;
    assert_eq!(bump(case, &key, "hero", first, false).await, first);
    assert_eq!(case.heard().await, [""; 0]);
}

pub(crate) async fn an_epoch_goes_beyond_whatever_the_caller_knew(case: &Case) {
    let key = case.key("epochs");
    let ahead = bump(case, &key, "hero", 0, true).await + 1_000_000;
    assert_eq!(bump(case, &key, "hero", ahead, false).await, ahead + 1);
    assert_eq!(bump(case, &key, "hero", ahead, true).await, ahead + 2);
}

pub(crate) async fn everybody_hears_of_a_new_epoch(case: &Case) {
    let key = case.key("epochs");
    case.heard().await;
    let epoch = bump(case, &key, "hero", 0, true).await;
    let message = format!("E 0000000000000007 {epoch:013} hero");
    assert_eq!(case.heard().await, [message]);
}
