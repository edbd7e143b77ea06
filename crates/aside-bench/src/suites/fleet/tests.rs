//! The simulation agrees with the formulae where their assumptions hold, and
//! differs from them where they do not.

use super::designs::{Design, Fleet, LONGER_BOUND, PLAIN, RELAY, SCRIPT_ROUNDS, SHARD_CHANNELS};
use super::figures::{by_formula, most_instances};
use super::simulation::run;

/// A fleet that leaves its servers idle most of the time.
const SMALL: Fleet = Fleet {
    instances: 20,
    shards: 6,
    replicas: 1,
    writes_per_s: 200.0,
    keys_per_write: 4,
    staleness_ms: 500.0,
    design: PLAIN,
};

const SECONDS: f64 = 20.0;

fn of(design: Design) -> Fleet {
    Fleet { design, ..SMALL }
}

/// Asserts that two figures differ by at most `percent`.
#[track_caller]
fn assert_near(name: &str, simulated: f64, formula: f64, percent: f64) {
    let difference = 100.0 * (simulated / formula - 1.0).abs();
    assert!(
        simulated == formula || difference <= percent,
        "{name}: {simulated} simulated, {formula} by formula"
    );
}

#[test]
fn a_small_fleet_agrees_with_the_formulae_within_5_percent() {
    for design in [PLAIN, SHARD_CHANNELS, SCRIPT_ROUNDS, LONGER_BOUND, RELAY] {
        let fleet = of(design);
        let (formulae, outcome) = (by_formula(&fleet), run(&fleet, SECONDS, 1));
        let pairs = outcome.figures.named().into_iter().zip(formulae.named());
        for ((name, simulated), (_, formula)) in pairs {
            assert_near(&format!("{}: {name}", design.name), simulated, formula, 5.0);
        }
        assert_eq!(outcome.untrusted, 0.0, "{}", design.name);
    }
}

#[test]
fn a_seed_repeats_its_outcome() {
    assert_eq!(run(&SMALL, 1.0, 7), run(&SMALL, 1.0, 7));
    assert_ne!(run(&SMALL, 1.0, 7), run(&SMALL, 1.0, 8));
}

#[test]
fn shard_channels_divide_the_copies_by_the_primaries() {
    let copies = |design| run(&of(design), SECONDS, 1).figures.copies_per_write;
    assert_near("copies", copies(SHARD_CHANNELS), copies(PLAIN) / 6.0, 5.0);
    // Each of four keys is published once, and reaches each instance once.
    assert_near("copies", copies(SHARD_CHANNELS), 4.0 * 20.0, 5.0);
}

#[test]
fn shard_channels_leave_the_bus_to_the_replicas() {
    let bytes = |design| run(&of(design), SECONDS, 1).figures.bus_bytes_per_primary;
    assert_near("bus", bytes(SHARD_CHANNELS), bytes(PLAIN) / 11.0, 5.0);
}

#[test]
fn a_relay_divides_rounds_and_copies_by_its_instances() {
    let [without, with] = [SCRIPT_ROUNDS, RELAY].map(|design| run(&of(design), SECONDS, 1).figures);
    let rounds = without.rounds_per_primary / 20.0;
    assert_near("rounds", with.rounds_per_primary, rounds, 5.0);
    let copies = without.copies_per_write / 20.0;
    assert_near("copies", with.copies_per_write, copies, 5.0);
}

#[test]
fn a_longer_bound_needs_fewer_rounds() {
    let [short, long] =
        [SCRIPT_ROUNDS, LONGER_BOUND].map(|design| run(&of(design), SECONDS, 1).figures);
    let rounds = short.rounds_per_primary / 4.0;
    assert_near("rounds", long.rounds_per_primary, rounds, 5.0);
}

#[test]
fn an_overloaded_server_takes_the_trust_of_its_instances() {
    let fleet = Fleet {
        instances: 400,
        writes_per_s: 2_000.0,
        ..SMALL
    };
    assert!(by_formula(&fleet).core_of_primary > 1.5);
    let outcome = run(&fleet, 2.0, 1);
    assert!(outcome.untrusted > 0.3, "{outcome:?}");
    // Rounds wait in the queue, so there are fewer than their pause allows.
    let rounds = by_formula(&fleet).rounds_per_primary;
    assert!(outcome.figures.rounds_per_primary < rounds / 2.0);
}

#[test]
fn the_limit_of_instances_takes_the_given_part_of_a_core() {
    for design in [PLAIN, SHARD_CHANNELS, SCRIPT_ROUNDS, LONGER_BOUND, RELAY] {
        let instances = most_instances(&of(design), 0.25);
        let at_limit = Fleet {
            instances,
            ..of(design)
        };
        let core = by_formula(&at_limit).core_of_primary;
        assert_near(design.name, core, 0.25, 5.0);
    }
}
