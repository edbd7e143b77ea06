//! The Tale Generator's data layer on a bad day, with real processes.
//!
//! Three instances, each a process of its own, read and write the same few
//! heroes through one Redis and one database, while instances are killed,
//! abort at each step of a write and are stopped, their ways to Redis are broken
//! one by one, and Redis itself dies, forgets, runs out of memory, refuses
//! writes, is demoted and gives way to a replica without its tail. Every operation is written down, and the
//! checker of `aside_testkit::history` judges what was seen.
//!
//! The faults come from a seed, which a failure prints; with
//! `ASIDE_CHAOS_SEED` set to it the same faults come again. What the
//! processes do in between is for the scheduler to decide, so a replay is
//! likely to find the same thing, not certain.
//!
//! Faults come in two plans that are never mixed, because together they
//! amount to what `CAVEATS.md` excludes: a writer that dies between commit and
//! release while Redis loses its quarantine.

mod fleet;
mod heroes;
mod instance;
mod judgement;
mod operations;
mod plan;
mod round;
mod soak;
mod steps;
mod windows;

use std::time::Duration;

use crate::heroes::Place;
use crate::plan::Plan;
use crate::round::Round;

/// How long faults come in the tests that are run with all others.
const BRIEFLY: Duration = Duration::from_millis(5500);

/// A round with the seed given, or with that of the environment.
fn judge(test: &'static str, place: Place, plan: Plan, seed: u64) {
    if instance::is_one() {
        instance::run();
    }
    let round = Round {
        test,
        place,
        plan,
        seed: round::seed_to_replay().unwrap_or(seed),
        lasting: BRIEFLY,
    };
    if let Some(judgement) = round.run() {
        println!("{judgement}");
        judgement.assert_clean(round.seed);
    }
}

#[test]
fn instances_that_die_stop_and_are_cut_off_show_nothing_older_than_promised() {
    let test = "instances_that_die_stop_and_are_cut_off_show_nothing_older_than_promised";
    judge(test, Place::Postgres, Plan::Instances, 20_260_701);
}

#[test]
fn a_redis_that_dies_stops_and_forgets_shows_nothing_older_than_promised() {
    let test = "a_redis_that_dies_stops_and_forgets_shows_nothing_older_than_promised";
    judge(test, Place::Postgres, Plan::Redis, 20_260_702);
}

#[test]
fn a_redis_that_refuses_and_fails_over_shows_nothing_older_than_promised() {
    let test = "a_redis_that_refuses_and_fails_over_shows_nothing_older_than_promised";
    judge(test, Place::Postgres, Plan::Redis, 4_294_134_250);
}

#[test]
fn instances_that_share_one_file_show_nothing_older_than_promised() {
    let test = "instances_that_share_one_file_show_nothing_older_than_promised";
    judge(test, Place::Sqlite, Plan::Instances, 20_260_703);
}
