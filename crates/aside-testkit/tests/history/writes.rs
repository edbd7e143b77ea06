//! Writes that failed, were lost, or contradict each other.

use aside_testkit::history::{Check, State};

use crate::scenario::Scenario;

#[test]
fn a_rolled_back_version_is_never_seen() {
    let failed = Scenario::new().initially(1).failed(10, 20, 2);
    failed.clone().strict("a", 30, 40, 1).is_right();
    failed.strict("a", 12, 40, 2).breaks(Check::NeverWritten, 1);
}

#[test]
fn a_rolled_back_version_is_assigned_again() {
    let history = Scenario::new().initially(1).failed(10, 20, 2);
    let history = history.wrote("w", 50, 60, 2);
    history.clone().strict("a", 61, 70, 2).is_right();
    history
        .strict("a", 30, 40, 2)
        .breaks(Check::NeverWritten, 1);
}

#[test]
fn a_lost_write_may_have_happened_or_not() {
    let lost = Scenario::new().initially(1).lost(10, Some(2.into()));
    lost.clone().strict("a", 1000, 1010, 1).is_right();
    lost.clone().strict("a", 1000, 1010, 2).is_right();
    lost.strict("a", 1, 9, 2).breaks(Check::NeverWritten, 1);
}

#[test]
fn a_lost_write_has_happened_once_a_read_saw_it() {
    Scenario::new()
        .initially(1)
        .lost(10, Some(2.into()))
        .strict("a", 20, 30, 2)
        .strict("b", 31, 40, 1)
        .breaks(Check::Backwards, 1);
}

#[test]
fn the_next_write_shows_if_a_lost_write_happened() {
    let lost = Scenario::new().initially(1).lost(10, Some(2.into()));
    // The lost write was rolled back, and its version is assigned to the next.
    let again = lost.clone().wrote("w", 50, 60, 2);
    again.clone().strict("a", 61, 70, 2).is_right();
    again.clone().strict("a", 61, 70, 1).breaks(Check::Stale, 1);
    // So no read can have seen it before the next one began.
    again
        .clone()
        .strict("a", 40, 49, 2)
        .breaks(Check::NeverWritten, 1);
    let after = lost.wrote("w", 50, 60, 3);
    after.clone().strict("a", 61, 70, 3).is_right();
    after.strict("a", 61, 70, 2).breaks(Check::Stale, 1);
}

#[test]
fn an_unlearned_lost_write_excuses_one_version() {
    let lost = Scenario::new().initially(1).lost(10, None);
    let seen = lost.strict("a", 20, 30, 2);
    seen.clone().strict("b", 31, 40, 2).is_right();
    seen.strict("b", 31, 40, 3).breaks(Check::NeverWritten, 1);
}

#[test]
fn an_unlearned_lost_write_excuses_no_earlier_read() {
    let lost = Scenario::new().initially(1).lost(10, None);
    lost.strict("a", 1, 9, 2).breaks(Check::NeverWritten, 1);
}

#[test]
fn a_lost_write_excuses_no_version_of_a_returned_write() {
    let lost = Scenario::new().initially(1).lost(10, None);
    let wrote = lost.wrote("w", 50, 60, 2);
    wrote.strict("a", 20, 30, 2).breaks(Check::NeverWritten, 1);
}

#[test]
fn two_lost_writes_excuse_two_versions_in_any_order() {
    let lost = Scenario::new().initially(1).lost(10, None).lost(40, None);
    lost.clone()
        .strict("a", 50, 60, 3)
        .strict("a", 20, 30, 2)
        .is_right();
    // Only one of them had begun.
    lost.strict("a", 20, 30, 2)
        .strict("b", 21, 31, 3)
        .breaks(Check::NeverWritten, 1);
}

#[test]
fn a_version_missing_from_the_final_database_never_existed() {
    let lost = Scenario::new().initially(1).lost(10, Some(2.into()));
    let seen = lost.strict("a", 20, 30, 2);
    seen.clone().settled(2, 2).is_right();
    seen.settled(1, 1).breaks(Check::NeverWritten, 1);
}

#[test]
fn a_version_is_assigned_once() {
    Scenario::new()
        .wrote("a", 10, 40, 1)
        .wrote("b", 20, 50, 1)
        .breaks(Check::Order, 1);
}

#[test]
fn versions_rise_from_write_to_write() {
    // The counter starts again when a row is created again.
    Scenario::new()
        .wrote("a", 10, 20, 1)
        .wrote("a", 30, 40, State::Absent(Some(2)))
        .wrote("a", 50, 60, 1)
        .breaks(Check::Order, 2);
}

#[test]
fn a_write_that_returned_is_in_the_database_in_the_end() {
    let wrote = Scenario::new().wrote("a", 10, 20, 1);
    wrote.clone().settled(1, 1).is_right();
    let report = wrote.settled(0, 0).check();
    assert_eq!(report.violations_of(Check::Order), 1, "{report}");
}
