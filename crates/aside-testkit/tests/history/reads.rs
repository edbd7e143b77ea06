//! C1, C2 and C3, of rows.

use aside_testkit::history::{Bounds, Check};

use crate::scenario::{H, Scenario, bounds, nanos};

/// Version 1 was written by 20, version 2 by 40.
fn two_writes() -> Scenario {
    Scenario::new().wrote("w", 10, 20, 1).wrote("w", 30, 40, 2)
}

#[test]
fn a_strict_read_returns_the_newest_write_that_returned() {
    two_writes().strict("a", 41, 50, 2).is_right();
    two_writes().strict("a", 41, 50, 1).breaks(Check::Stale, 1);
}

#[test]
fn a_strict_read_during_a_write_may_return_either_version() {
    two_writes().strict("a", 35, 50, 1).is_right();
    two_writes().strict("a", 35, 50, 2).is_right();
    // It began in the very moment in which the write returned.
    two_writes().strict("a", 40, 50, 1).is_right();
}

#[test]
fn before_the_first_write_a_key_is_absent_at_version_zero() {
    two_writes().strict("a", 5, 15, None).is_right();
    two_writes().strict("a", 5, 15, 0).is_right();
    two_writes()
        .strict("a", 21, 25, None)
        .breaks(Check::Stale, 1);
}

#[test]
fn a_lenient_read_may_be_as_old_as_the_bound_and_no_older() {
    two_writes().lenient("a", 40 + H, 150, 1).is_right();
    two_writes()
        .lenient("a", 41 + H, 150, 1)
        .breaks(Check::Stale, 1);
}

#[test]
fn staleness_counts_from_the_first_newer_write() {
    let history = two_writes().wrote("w", 130, 140, 3);
    let history = history.lenient("a", 141, 145, 1);
    history.breaks(Check::Stale, 1);
    assert_eq!(history.check().lenient_staleness, nanos(141 - 40));
}

#[test]
fn the_order_of_commits_is_not_the_order_of_returns() {
    // Version 2 returned before version 1 did.
    let history = Scenario::new().wrote("w", 10, 90, 1).wrote("w", 20, 40, 2);
    history.clone().strict("a", 50, 60, 2).is_right();
    history.strict("a", 50, 60, 1).breaks(Check::Stale, 1);
}

#[test]
fn with_a_journal_strict_reads_have_the_sum_of_both_bounds() {
    let journal = Bounds::with_journal(nanos(50), nanos(H));
    let check = |start| {
        let history = two_writes().strict("a", start, start + 1, 1).history;
        history.check(&journal).violations_of(Check::Stale)
    };
    assert_eq!((check(40 + 150), check(41 + 150)), (0, 1));
}

#[test]
fn an_instance_sees_its_own_writes_at_once() {
    two_writes().lenient("a", 50, 60, 1).is_right();
    two_writes().lenient("w", 50, 60, 2).is_right();
    let own = two_writes().lenient("w", 50, 60, 1);
    own.breaks(Check::OwnWrite, 1);
    let unpromised = Bounds {
        own_writes: false,
        ..bounds()
    };
    own.history.check(&unpromised).assert_clean();
}

#[test]
fn reads_see_only_writes_that_have_begun() {
    // The write of 2 begins while the read is in progress.
    two_writes().strict("a", 22, 30, 2).is_right();
    two_writes()
        .strict("a", 22, 29, 2)
        .breaks(Check::NeverWritten, 1);
}

#[test]
fn a_version_that_never_existed_is_found() {
    two_writes()
        .strict("a", 50, 60, 3)
        .breaks(Check::NeverWritten, 1);
    Scenario::new()
        .initially(7)
        .strict("a", 50, 60, 6)
        .breaks(Check::NeverWritten, 1);
}

#[test]
fn a_result_without_an_origin_accuses_only_itself() {
    two_writes()
        .strict("a", 50, 60, 9)
        .strict("a", 61, 70, 2)
        .breaks(Check::NeverWritten, 1);
}

#[test]
fn strict_reads_do_not_go_backwards_between_instances() {
    // The write is in progress, so neither version is stale.
    let writing = Scenario::new().initially(1).wrote("w", 10, 90, 2);
    let seen = writing.strict("a", 20, 30, 2);
    seen.clone().strict("b", 31, 40, 2).is_right();
    // The reads overlap, so their order is unknown.
    seen.clone().strict("b", 30, 40, 1).is_right();
    seen.strict("b", 31, 40, 1).breaks(Check::Backwards, 1);
}

#[test]
fn lenient_reads_go_backwards_only_between_instances() {
    let writing = Scenario::new().initially(1).wrote("w", 10, 90, 2);
    let seen = writing.lenient("a", 20, 30, 2);
    seen.clone().lenient("b", 31, 40, 1).is_right();
    seen.clone().lenient("a", 31, 40, 2).is_right();
    seen.lenient("a", 31, 40, 1).breaks(Check::Backwards, 1);
}

#[test]
fn strict_and_lenient_reads_are_not_compared_with_each_other() {
    let writing = Scenario::new().initially(1).wrote("w", 10, 90, 2);
    let seen = writing.strict("a", 20, 30, 2);
    seen.lenient("a", 31, 40, 1).is_right();
}

#[test]
fn a_read_is_compared_with_the_newest_earlier_result() {
    let writing = Scenario::new().initially(1).wrote("w", 10, 90, 2);
    writing
        .strict("a", 11, 12, 2)
        .strict("b", 13, 14, 1)
        .strict("b", 15, 16, 1)
        .breaks(Check::Backwards, 2);
}

#[test]
fn a_scenario_may_let_reads_go_backwards_for_a_while() {
    let history = Scenario::new().initially(1).wrote("w", 10, 90, 2);
    let allowed = Bounds {
        strict_backwards: nanos(10),
        ..bounds()
    };
    let check = |start| {
        let history = history.clone().strict("a", 20, 30, 2);
        let history = history.strict("b", start, 60, 1).history;
        history.check(&allowed).violations_of(Check::Backwards)
    };
    assert_eq!((check(40), check(41)), (0, 1));
}

#[test]
fn keys_are_checked_separately() {
    let mut scenario = two_writes().strict("a", 41, 50, 2);
    let mut other = two_writes().history;
    for write in &mut other.writes {
        write.key = "hero:2".into();
    }
    other.writes.pop();
    scenario.history.merge(other);
    let mut read = scenario.history.reads[0].clone();
    read.key = "hero:2".into();
    read.state = 1.into();
    scenario.history.reads.push(read);
    scenario.is_right();
}
