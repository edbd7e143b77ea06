//! Deletes, and reads that find no row.

use aside_testkit::history::{Check, State};

use crate::scenario::Scenario;

const NOTHING: State = State::Absent(None);

/// Written by 20, deleted by 40, and written again by 60.
fn deleted_and_created_again() -> Scenario {
    Scenario::new()
        .wrote("w", 10, 20, 1)
        .wrote("w", 30, 40, State::Absent(Some(2)))
        .wrote("w", 50, 60, 3)
}

#[test]
fn a_deleted_row_is_not_found_until_it_is_created_again() {
    let history = deleted_and_created_again();
    history.clone().strict("a", 41, 45, NOTHING).is_right();
    history
        .clone()
        .strict("a", 41, 45, 1)
        .breaks(Check::Stale, 1);
    history.clone().strict("a", 61, 65, 3).is_right();
    history.strict("a", 61, 65, NOTHING).breaks(Check::Stale, 1);
}

#[test]
fn a_row_that_was_created_is_found() {
    deleted_and_created_again()
        .strict("a", 21, 25, NOTHING)
        .breaks(Check::Stale, 1);
}

#[test]
fn a_row_is_present_until_its_deletion_begins() {
    let history = Scenario::new().initially(1);
    history
        .clone()
        .strict("a", 5, 9, NOTHING)
        .breaks(Check::NeverWritten, 1);
    let deleted = history.wrote("w", 10, 20, State::Absent(Some(2)));
    deleted.clone().strict("a", 5, 10, NOTHING).is_right();
    deleted
        .strict("a", 5, 9, NOTHING)
        .breaks(Check::NeverWritten, 1);
}

#[test]
fn a_row_recorded_as_absent_at_first_may_be_missing() {
    Scenario::new()
        .initially(State::Absent(Some(4)))
        .strict("a", 5, 9, NOTHING)
        .is_right();
}

#[test]
fn a_deleted_row_does_not_come_back() {
    let deleting = Scenario::new().initially(1);
    let deleting = deleting.wrote("w", 10, 90, State::Absent(Some(2)));
    deleting
        .clone()
        .strict("a", 20, 30, NOTHING)
        .strict("b", 31, 40, 1)
        .breaks(Check::Backwards, 1);
    deleting
        .strict("a", 20, 30, 1)
        .strict("b", 31, 40, NOTHING)
        .is_right();
}

#[test]
fn a_created_row_does_not_vanish() {
    let creating = Scenario::new().wrote("w", 10, 90, 1);
    creating
        .strict("a", 20, 30, 1)
        .strict("b", 31, 40, NOTHING)
        .breaks(Check::Backwards, 1);
}

#[test]
fn an_absence_counts_as_the_oldest_deletion_that_fits() {
    // The first read may have seen either deletion.
    let history = Scenario::new()
        .initially(State::Absent(Some(1)))
        .wrote("w", 10, 90, 2)
        .wrote("w", 10, 90, State::Absent(Some(3)));
    history
        .strict("a", 20, 30, NOTHING)
        .strict("b", 31, 40, 2)
        .is_right();
}

#[test]
fn an_absence_after_a_row_is_a_later_deletion() {
    let history = Scenario::new()
        .initially(State::Absent(Some(1)))
        .wrote("w", 10, 90, 2)
        .wrote("w", 10, 90, State::Absent(Some(3)));
    history
        .strict("a", 20, 30, 2)
        .strict("b", 31, 40, NOTHING)
        .strict("c", 41, 50, 2)
        .breaks(Check::Backwards, 1);
}

#[test]
fn a_row_is_not_found_at_the_version_of_its_deletion() {
    let history = deleted_and_created_again();
    history
        .clone()
        .strict("a", 41, 45, State::Absent(Some(2)))
        .is_right();
    history
        .clone()
        .strict("a", 41, 45, 2)
        .breaks(Check::Content, 1);
    history
        .strict("a", 61, 65, State::Absent(Some(3)))
        .breaks(Check::Content, 1);
}

#[test]
fn a_lost_write_may_have_been_a_deletion() {
    let lost = Scenario::new().initially(1).lost(10, None);
    let seen = lost.clone().strict("a", 20, 30, NOTHING);
    seen.is_right();
    assert_eq!(seen.check().unverified, 1);
    lost.strict("a", 5, 9, NOTHING)
        .breaks(Check::NeverWritten, 1);
}
