//! The contents of a report.

use aside_testkit::history::{Check, Event, Fault, Report, State, Time};

use crate::scenario::{KEY, Scenario, nanos};

#[test]
fn a_report_counts_what_happened() {
    let mut scenario = Scenario::new()
        .initially(1)
        .wrote("w", 1000, 2000, 2)
        .failed(2000, 2100, 3)
        .lost(2200, Some(3.into()))
        .strict("a", 1500, 1_001_000, 2);
    scenario.history.failed_reads = 4;
    scenario.history.faults.push(Fault {
        at: Time::from_nanos(5000),
        what: "redis killed".into(),
    });
    let report = scenario.check();
    assert_eq!((report.reads, report.failed_reads), (1, 4));
    assert_eq!((report.writes, report.failed_writes), (1, 1));
    assert_eq!((report.unknown_writes, report.faults), (1, 1));
    assert_eq!(report.span, nanos(1_000_000));
    assert_eq!(report.operations_per_second().round(), 2000.0);
}

#[test]
fn a_report_of_nothing_is_clean_and_empty() {
    let report = Scenario::new().check();
    assert!(report.is_clean());
    assert_eq!((report.reads, report.span), (0, nanos(0)));
    assert_eq!(report.operations_per_second(), 0.0);
}

#[test]
fn the_oldest_results_are_the_smallest_valid_bounds() {
    let history = Scenario::new()
        .initially(1)
        .wrote("w", 10, 20, 2)
        .lenient("a", 90, 95, 1)
        .lenient("b", 50, 55, 1)
        .strict("a", 30, 35, 1);
    let report = history.check();
    assert_eq!(report.lenient_staleness, nanos(70));
    assert_eq!(report.strict_staleness, nanos(10));
}

#[test]
fn keys_that_are_stale_in_the_end_are_counted_once() {
    let wrote = Scenario::new().initially(1).wrote("w", 10, 20, 2);
    let settled = wrote.clone().settled(2, 2).check();
    assert_eq!((settled.settled_keys, settled.still_stale_keys()), (1, 0));

    let stale = wrote.settled(1, 2).settled(1, 2).settled(2, 2).check();
    assert_eq!((stale.settled_keys, stale.still_stale_keys()), (1, 1));
    assert_eq!((stale.violations(), stale.is_clean()), (0, false));
}

#[test]
fn an_absent_row_in_cache_and_database_is_settled() {
    let deleted = Scenario::new().wrote("w", 10, 20, State::Absent(Some(1)));
    deleted
        .clone()
        .settled(None, State::Absent(Some(1)))
        .is_right();
    let report = deleted.settled(None, 1).check();
    assert_eq!(report.still_stale_keys(), 1);
}

/// A stale read, after more events than are shown.
fn stale() -> Report {
    let mut scenario = Scenario::new().initially(1).wrote("w", 10_000, 20_000, 2);
    for start in 0..20 {
        scenario = scenario.strict("b", 21_000 + start, 22_000 + start, 2);
    }
    scenario.history.faults.push(Fault {
        at: Time::from_nanos(29_000),
        what: "redis killed".into(),
    });
    scenario
        .strict("a", 30_000, 31_000, 1)
        .strict("c", 32_000, 33_000, 2)
        .check()
}

#[test]
fn a_violation_has_its_contradiction_and_recent_events() {
    let report = stale();
    let example = report.examples.iter().find(|it| it.check == Check::Stale);
    let example = example.unwrap();
    assert_eq!(&*example.key, KEY);
    let [Event::Write(write), Event::Read(read)] = &example.events[..] else {
        panic!("{report}");
    };
    assert_eq!((&*write.instance, &*read.instance), ("w", "a"));

    let recent = &example.recent;
    assert!(recent.is_sorted_by_key(Event::start));
    assert!(recent.contains(&Event::Read(read.clone())));
    assert!(recent.iter().any(|it| matches!(it, Event::Fault(_))));
    assert!(recent.iter().all(|it| it.start() <= read.end));
}

#[test]
fn a_printed_report_names_the_key_the_times_and_the_fault() {
    let text = stale().to_string();
    for part in [
        "1 violations of: no read is older than its bound",
        "hero:1: a read returned version 1 10.0µs after version 2 had been written",
        "> 0.000 to 0.010 ms: w wrote version 2",
        "> 0.020 to 0.021 ms: a strictly read version 1",
        "  0.019 ms: redis killed",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
#[should_panic(expected = "the history breaks a promise")]
fn an_unclean_report_fails_the_test_with_its_text() {
    stale().assert_clean();
}

#[test]
fn all_violations_are_counted_and_a_few_are_kept() {
    let mut scenario = Scenario::new().initially(1).wrote("w", 10, 20, 2);
    for start in 0..100 {
        scenario = scenario.strict("a", 30 + start, 40 + start, 1);
    }
    let report = scenario.check();
    assert_eq!(report.violations_of(Check::Stale), 100);
    assert_eq!(report.examples.len(), 5);
}
