//! Worlds with a query: its result depends on a row and a list, and is judged as a list is.

use std::sync::atomic::{AtomicU64, Ordering};

use super::plan::Scenario;
use super::tests::{assert_clean, each, number};
use super::{Ended, Reads, run_with};
use crate::runtime::simulated::Rule;

const QUERYING: Reads = Reads {
    has_queries: true,
    ..Reads::PLAIN
};

fn querying(seed: u64, scenario: Scenario, without: Option<Rule>) -> Ended {
    run_with(QUERYING, seed, scenario, without, false)
}

#[test]
fn no_promise_is_broken_by_queries() {
    let first = number("ASIDE_SIM_FIRST").unwrap_or(0);
    let count = number("ASIDE_SIM_WORLDS").unwrap_or(40);
    let hits = AtomicU64::new(0);
    each(first..first + count, |seed| {
        let ended = querying(seed, Scenario::of(seed), None);
        assert_clean(seed, &ended);
        hits.fetch_add(ended.query_hits, Ordering::Relaxed);
    });
    // Loads alone would be clean as well.
    let hits = hits.into_inner();
    println!("{hits} hits of queries");
    assert!(10 * count < hits, "{hits} hits");
}

/// In a cluster the row and the list are in different shards.
#[test]
fn no_promise_is_broken_by_queries_over_several_servers() {
    for (scenario, worlds) in [
        (Scenario::Slots, 0..8),
        (Scenario::Elections, 0..4),
        (Scenario::Failovers, 0..15),
    ] {
        each(worlds, |seed| {
            assert_clean(seed, &querying(seed, scenario, None));
        });
    }
}

#[test]
fn a_world_of_queries_is_one_world_to_the_last_event() {
    let trace = || run_with(QUERYING, 3, Scenario::of(3), None, true).trace;
    let trace = [trace(), trace()];
    assert!(trace[0].contains("read query:1+a"));
    assert!(trace[0] == trace[1]);
}

/// Searches the seeds of one scenario, and shows a single one.
#[test]
#[ignore = "searches the worlds of ASIDE_SIM_SCENARIO with a query"]
fn search_with_queries() {
    let scenario = std::env::var("ASIDE_SIM_SCENARIO").expect("ASIDE_SIM_SCENARIO");
    let scenario = Scenario::named(&scenario).expect("a scenario");
    let first = number("ASIDE_SIM_FIRST").unwrap_or(0);
    let count = number("ASIDE_SIM_WORLDS").unwrap_or(60);
    each(first..first + count, |seed| {
        let ended = run_with(QUERYING, seed, scenario, None, count == 1);
        if count == 1 {
            println!("{}\n{}", ended.trace, ended.judgement);
        } else if !ended.judgement.is_clean() || !ended.stuck.is_empty() {
            println!("world {seed}: {:?} {}", ended.stuck, ended.judgement);
        }
    });
}

/// Panics unless a world with queries shows that a rule is missing.
#[track_caller]
fn is_missed(rule: Rule, scenario: Scenario) {
    for seed in 0..100 {
        let ended = querying(seed, scenario, Some(rule));
        if !ended.judgement.is_clean() {
            println!("{rule:?} is missed in world {seed}\n{}", ended.judgement);
            return;
        }
    }
    panic!("no world showed that {rule:?} is missing");
}

#[test]
fn a_query_without_stamps_is_found() {
    is_missed(Rule::QueryStamps, Scenario::Deaths);
}

#[test]
fn a_local_query_without_generations_is_found() {
    is_missed(Rule::QueryGenerations, Scenario::Deaths);
}
