//! Lists: a counter like any version, and members to compare.

use aside_testkit::history::{Check, State};

use crate::scenario::Scenario;

fn list(version: u64, members: &[&str]) -> State {
    State::list(version, members)
}

fn two_changes() -> Scenario {
    Scenario::new()
        .wrote("w", 10, 20, list(1, &["x"]))
        .wrote("w", 30, 40, list(2, &["x", "y"]))
}

#[test]
fn a_list_has_the_members_that_the_database_had_at_its_version() {
    two_changes()
        .strict("a", 50, 60, list(2, &["x", "y"]))
        .is_right();
    for members in [&["x"][..], &["x", "z"], &["x", "y", "y"], &[]] {
        two_changes()
            .strict("a", 50, 60, list(2, members))
            .breaks(Check::Content, 1);
    }
}

#[test]
fn the_order_of_members_is_ignored() {
    two_changes()
        .strict("a", 50, 60, list(2, &["y", "x"]))
        .is_right();
}

#[test]
fn a_list_is_as_fresh_as_a_row() {
    two_changes()
        .strict("a", 50, 60, list(1, &["x"]))
        .breaks(Check::Stale, 1);
    two_changes()
        .strict("a", 22, 25, list(2, &["x", "y"]))
        .breaks(Check::NeverWritten, 1);
}

#[test]
fn before_the_first_write_a_list_is_empty() {
    two_changes().strict("a", 5, 9, list(0, &[])).is_right();
    two_changes()
        .strict("a", 5, 9, list(0, &["x"]))
        .breaks(Check::Content, 1);
}

#[test]
fn a_list_of_a_lost_write_is_compared_as_well() {
    let lost = two_changes().lost(50, Some(list(3, &["y"])));
    lost.clone().strict("a", 60, 70, list(3, &["y"])).is_right();
    lost.strict("a", 60, 70, list(3, &["x"]))
        .breaks(Check::Content, 1);
}

#[test]
fn of_two_writes_of_a_version_the_returned_one_counts() {
    let history =
        two_changes()
            .lost(50, Some(list(3, &["lost"])))
            .wrote("w", 60, 70, list(3, &["kept"]));
    history
        .clone()
        .strict("a", 80, 90, list(3, &["kept"]))
        .is_right();
    history
        .strict("a", 80, 90, list(3, &["lost"]))
        .breaks(Check::Content, 1);
}

#[test]
fn of_two_lost_writes_the_unlearned_one_may_be_seen() {
    let lost = two_changes().lost(50, Some(list(3, &["x"])));
    let history = lost.lost(60, None).strict("a", 70, 80, list(3, &["y"]));
    history.is_right();
    assert_eq!(history.check().unverified, 1);
}

#[test]
fn a_list_without_recorded_members_counts_as_unverified() {
    let history = Scenario::new().wrote("w", 10, 20, 1);
    let history = history.strict("a", 30, 40, list(1, &["x"]));
    history.is_right();
    assert_eq!(history.check().unverified, 1);
}
