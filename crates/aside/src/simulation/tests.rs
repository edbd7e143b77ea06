//! Runs with all rules, and runs without one of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::direction::Direction;
use super::plan::Scenario;
use super::{Ended, Reads, run, run_with};
use crate::config::prefetch::PrefetchMode;
use crate::runtime::simulated::Rule;

pub(super) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is `{text}`: a number")))
}

fn world(seed: u64) -> Ended {
    run(seed, Scenario::of(seed), None, false)
}

#[track_caller]
pub(super) fn assert_clean(seed: u64, ended: &Ended) {
    assert!(ended.stuck.is_empty(), "world {seed}: {:?}", ended.stuck);
    assert!(
        ended.judgement.is_clean(),
        "a promise was broken: ASIDE_SIM_SEED={seed} shows how\n{}",
        ended.judgement
    );
}

/// Runs every seed, on as many threads as there are cores.
pub(super) fn each(seeds: Range<u64>, look: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < seeds.end
                {
                    look(seed);
                }
            });
        }
    });
}

#[test]
fn no_promise_is_broken_in_any_of_many_worlds() {
    let first = number("ASIDE_SIM_FIRST").unwrap_or(0);
    let count = number("ASIDE_SIM_WORLDS").unwrap_or(60);
    let seen: Mutex<BTreeMap<&str, [u64; 3]>> = Mutex::default();
    each(first..first + count, |seed| {
        let ended = world(seed);
        assert_clean(seed, &ended);
        let mut seen = seen.lock();
        for (what, report) in ended.judgement.reports() {
            let sums = seen.entry(what).or_default();
            sums[0] += report.reads;
            sums[1] += report.writes;
            sums[2] += report.unverified;
        }
    });
    // A judgement without reads would be clean as well.
    for (what, [reads, writes, unverified]) in seen.into_inner() {
        println!("{what}: {reads} reads, {writes} writes of a key, {unverified} not verified");
        assert!(reads > 50 * count && unverified == 0, "{what}: {reads}");
    }
}

/// Shows one run.
#[test]
#[ignore = "shows the world of ASIDE_SIM_SEED"]
fn replay() {
    let seed = number("ASIDE_SIM_SEED").expect("ASIDE_SIM_SEED is the number of a world");
    let ended = run(seed, Scenario::of(seed), None, true);
    println!("{}\n{}", ended.trace, ended.judgement);
    assert_clean(seed, &ended);
}

#[test]
fn a_seed_is_one_world_to_the_last_event() {
    for seed in 0..10 {
        let [one, again] = [0, 1].map(|_| run(seed, Scenario::of(seed), None, true).trace);
        assert!(one.len() > 1000);
        let same = one
            .lines()
            .zip(again.lines())
            .find(|(one, again)| one != again);
        assert_eq!(same, None, "world {seed} differs from itself");
        assert!(one == again);
    }
}

const AHEAD: Reads = Reads {
    prefetch: PrefetchMode::Auto,
    ..Reads::PLAIN
};

fn prefetching(seed: u64, scenario: Scenario, without: Option<Rule>) -> Ended {
    run_with(AHEAD, seed, scenario, without, false)
}

#[test]
fn no_promise_is_broken_by_rows_fetched_ahead() {
    let first = number("ASIDE_SIM_FIRST").unwrap_or(0);
    let count = number("ASIDE_SIM_WORLDS").unwrap_or(30);
    let seen: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    each(first..first + count, |seed| {
        let ended = prefetching(seed, Scenario::of(seed), None);
        assert_clean(seed, &ended);
        let mut seen = seen.lock();
        for (fate, count) in ended.prefetched {
            *seen.entry(fate).or_default() += count;
        }
    });
    let seen = seen.into_inner();
    println!("{seen:?}");
    // A world in which nothing is fetched ahead would be clean as well.
    assert!(
        seen.get("used").is_some_and(|used| count < *used),
        "{seen:?}"
    );
}

#[test]
fn a_world_of_rows_fetched_ahead_is_one_world_to_the_last_event() {
    let trace = || run_with(AHEAD, 3, Scenario::of(3), None, true).trace;
    assert!(trace() == trace());
}

/// Panics unless a run with the prefetch shows that a rule is missing.
#[track_caller]
fn is_missed_ahead(rule: Rule, scenario: Scenario, worlds: Range<u64>) {
    for seed in worlds.clone() {
        let ended = prefetching(seed, scenario, Some(rule));
        if !ended.judgement.is_clean() {
            println!("{rule:?} is missed in world {seed}\n{}", ended.judgement);
            return;
        }
    }
    panic!("no world of {worlds:?} showed that {rule:?} is missing");
}

#[test]
fn a_buffer_without_generations_is_found() {
    is_missed_ahead(Rule::BufferStamped, Scenario::Deaths, 0..100);
}

#[test]
fn fetching_ahead_without_the_right_to_fill_is_found() {
    is_missed_ahead(Rule::PrefetchOnlyFills, Scenario::Deaths, 0..200);
}

/// Panics unless a run of this scenario shows that a rule is missing.
#[track_caller]
fn is_missed(rule: Rule, scenario: Scenario, within: u64) {
    is_missed_from(0, rule, scenario, within);
}

/// The same, beginning with a world that is known to show it.
#[track_caller]
fn is_missed_from(first: u64, rule: Rule, scenario: Scenario, within: u64) {
    for seed in first..first + within {
        let ended = run(seed, scenario, Some(rule), false);
        if !ended.judgement.is_clean() || !ended.stuck.is_empty() {
            println!("{rule:?} is missed in world {seed}\n{}", ended.judgement);
            return;
        }
    }
    panic!("{within} worlds did not show that {rule:?} is missing");
}

#[test]
fn filling_without_the_lease_is_found() {
    is_missed(Rule::LeaseToFill, Scenario::Deaths, 100);
}

#[test]
fn generations_taken_after_the_get_are_found() {
    is_missed(Rule::GenerationsBeforeGet, Scenario::Ways, 400);
}

#[test]
fn joining_any_flight_is_found() {
    is_missed(Rule::JoinInTime, Scenario::Deaths, 100);
}

#[test]
fn proofs_that_never_age_are_found() {
    is_missed(Rule::ProofsAge, Scenario::Stops, 100);
}

#[test]
fn ignored_messages_are_found() {
    is_missed(Rule::Messages, Scenario::Deaths, 100);
}

#[test]
fn an_unchecked_history_is_found() {
    is_missed(Rule::HistoryTag, Scenario::Histories, 100);
}

#[test]
fn an_unchecked_epoch_is_found() {
    is_missed(Rule::Epoch, Scenario::Deaths, 100);
}

#[test]
fn an_undrained_journal_is_found() {
    is_missed(Rule::Journal, Scenario::Ways, 100);
}

#[test]
fn a_quarantine_after_the_commit_is_found() {
    is_missed(Rule::QuarantineBeforeCommit, Scenario::Deaths, 100);
}

#[test]
fn no_promise_is_broken_by_early_refreshes() {
    each(0..24, |seed| {
        assert_clean(seed, &run(seed, Scenario::Refreshes, None, false));
    });
}

#[test]
fn worlds_of_refreshes_have_some() {
    let traces = [0, 1].map(|seed| run(seed, Scenario::Refreshes, None, true).trace);
    let count = |reply| {
        traces
            .iter()
            .map(|it| it.matches(reply).count())
            .sum::<usize>()
    };
    assert!(count("Claimed(true)") > 5, "{}", count("Claimed(true)"));
}

#[test]
fn a_refresh_that_claims_any_value_and_loads_at_once_is_found() {
    is_missed_from(107, Rule::RefreshHeader, Scenario::Refreshes, 200);
}

#[test]
fn a_refresh_that_replaces_any_value_is_found() {
    is_missed(Rule::RefreshClaim, Scenario::Deaths, 100);
}

#[test]
fn no_promise_is_broken_by_failovers() {
    each(0..24, |seed| {
        assert_clean(seed, &run(seed, Scenario::Failovers, None, false));
    });
}

#[test]
fn a_journal_row_that_only_a_replaced_server_acknowledged_is_found() {
    is_missed_from(186, Rule::ConfirmRows, Scenario::Failovers, 50);
}

#[test]
fn a_failover_is_one_world_to_the_last_event() {
    let [one, again] = [0, 1].map(|_| run(3, Scenario::Failovers, None, true).trace);
    assert!(one.contains("promoted") && one == again);
}

#[test]
fn no_promise_is_broken_by_moving_slots() {
    each(0..24, |seed| {
        assert_clean(seed, &run(seed, Scenario::Slots, None, false));
    });
}

#[test]
fn no_promise_is_broken_by_elections() {
    each(0..8, |seed| {
        assert_clean(seed, &run(seed, Scenario::Elections, None, false));
    });
}

#[test]
fn a_cluster_is_one_world_to_the_last_event() {
    let worlds = [
        (9, Scenario::Slots, "Ask"),
        (2, Scenario::Elections, "promoted"),
    ];
    for (seed, scenario, event) in worlds {
        let [one, again] = [0, 1].map(|_| run(seed, scenario, None, true).trace);
        assert!(one.contains(event), "world {seed}: {scenario:?}");
        assert!(one == again, "world {seed} differs from itself");
    }
}

#[test]
fn an_asker_that_is_not_told_is_found() {
    is_missed_from(9, Rule::TellAsker, Scenario::Slots, 100);
}

#[test]
fn trust_without_votes_is_found() {
    is_missed(Rule::Votes, Scenario::Failovers, 100);
}

#[test]
fn an_unchecked_history_is_found_after_a_failover() {
    is_missed(Rule::HistoryTag, Scenario::Failovers, 100);
}

/// Runs the plan of a direction.
fn directed(seed: u64, direction: Direction, without: Option<Rule>) -> Ended {
    run(seed, Scenario::Directed(direction), without, false)
}

/// Each has at least the reads of its plan, so a clean judgement says something. Random
/// worlds draw further seeds.
#[test]
fn no_promise_is_broken_by_directed_plans() {
    for direction in Direction::OF_STALENESS
        .into_iter()
        .chain(Direction::OF_COST)
    {
        each(0..4, |seed| {
            let ended = directed(seed, direction, None);
            assert_clean(seed, &ended);
            let [(_, all), ..] = ended.judgement.reports();
            assert!(all.reads > 3, "{direction:?}: {} reads", all.reads);
        });
    }
}

/// In some worlds an ablated plan meets no reader at the right time.
#[test]
fn each_rule_of_a_cluster_is_needed_by_its_directed_plan() {
    for direction in Direction::OF_STALENESS {
        let is_stale = |seed| {
            let ended = directed(seed, direction, Some(direction.rule()));
            !ended.judgement.is_clean()
        };
        assert!((0..8).any(is_stale), "{direction:?} shows nothing");
    }
}

#[test]
fn rules_that_save_time_are_needed_by_their_directed_plans() {
    for direction in Direction::OF_COST {
        each(0..2, |seed| {
            let ended = directed(seed, direction, Some(direction.rule()));
            assert!(
                ended.judgement.is_clean(),
                "world {seed}: {}",
                ended.judgement
            );
            let is_missed = !ended.stuck.is_empty();
            assert!(is_missed, "{direction:?} shows nothing in world {seed}");
        });
    }
}

/// Shows the directed plans, with and without their rules.
#[test]
#[ignore = "shows the plan of ASIDE_SIM_SCENARIO, perhaps without its rule"]
fn direct() {
    let name = std::env::var("ASIDE_SIM_SCENARIO").expect("ASIDE_SIM_SCENARIO");
    let all = || {
        Direction::OF_STALENESS
            .into_iter()
            .chain(Direction::OF_COST)
    };
    for direction in all().filter(|it| name == "all" || format!("{it:?}") == name) {
        for without in [None, Some(direction.rule())] {
            let first = number("ASIDE_SIM_FIRST").unwrap_or(0);
            let count = number("ASIDE_SIM_WORLDS").unwrap_or(20);
            let traced = count == 1;
            let (mut stale, mut stuck) = (Vec::new(), Vec::new());
            for seed in first..first + count {
                let ended = run(seed, Scenario::Directed(direction), without, traced);
                if traced {
                    println!("{}\n{}", ended.trace, ended.judgement);
                }
                if !ended.judgement.is_clean() {
                    stale.push(seed);
                }
                stuck.extend(ended.stuck.into_iter().map(|what| (seed, what)));
            }
            println!("{direction:?} without {without:?}: stale {stale:?}, {stuck:?}");
        }
    }
}

/// Searches the seeds of one scenario, perhaps without a rule.
#[test]
#[ignore = "searches the worlds of ASIDE_SIM_SCENARIO without ASIDE_SIM_RULE"]
fn search() {
    let scenario = std::env::var("ASIDE_SIM_SCENARIO").expect("ASIDE_SIM_SCENARIO");
    let scenario = Scenario::named(&scenario).expect("a scenario");
    let rule = std::env::var("ASIDE_SIM_RULE").ok();
    let rule = rule.map(|rule| Rule::named(&rule).expect("a rule"));
    let first = number("ASIDE_SIM_FIRST").unwrap_or(0);
    let count = number("ASIDE_SIM_WORLDS").unwrap_or(60);
    let traced = count == 1;
    each(first..first + count, |seed| {
        let ended = run(seed, scenario, rule, traced);
        if traced {
            println!("{}\n{}", ended.trace, ended.judgement);
        }
        if !ended.judgement.is_clean() || !ended.stuck.is_empty() {
            println!("world {seed}: {:?} {}", ended.stuck, ended.judgement);
        }
    });
}
