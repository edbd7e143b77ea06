//! The protocol as small models, searched in every possible order of steps.
//!
//! Each module models the protocol, or a part of it, without everything that
//! does not affect the order of events. It has one key or two, a few writers
//! and readers, and version numbers for rows. The search visits every
//! interleaving of their steps with every fault that the model allows, and
//! checks every read.
//!
//! Half of the tests take one rule away from the protocol and assert that a
//! read then goes wrong. They prove that the other half can fail, and show the
//! reason for each rule. The tests print the shortest path to the wrong read,
//! or the number of states of a search that found none; `--nocapture` shows
//! them.
//!
//! A pass says that the rules are right. It does not say that the library
//! follows them: the conformance suite and the tests under faults check that.

mod nibbles;
mod explore;
mod scripts;

mod epochs;
mod id_lists;
mod local_tier;
mod leases;
mod query_stamps;
mod query_stamps_shards;
mod query_stamps_two;
mod refresh;
mod release_value;
mod repeated_packets;
mod slot_migration;
mod two_instances;
mod two_shards;

use std::fmt;
use std::time::Instant;

use explore::{Found, Model, explore};

/// More states than any model has.
const ALL: usize = 100_000_000;

/// The states of a large model that a usual run visits.
const NEAR: usize = 250_000;

/// Asserts that no read goes wrong in any interleaving.
fn holds(model: &(impl Model + fmt::Debug)) {
    let (found, said) = search(model, ALL);
    assert!(matches!(found, Found::Nothing { .. }), "{model:?}\n{said}");
}

/// Asserts that no read goes wrong in the states nearest to the start; with
/// `ASIDE_SOAK=1`, in any state. The names of such tests end in `_near_start`.
fn holds_near(model: &(impl Model + fmt::Debug)) {
    let is_soak = std::env::var("ASIDE_SOAK").is_ok_and(|value| value == "1");
    let (found, said) = search(model, if is_soak { ALL } else { NEAR });
    assert!(!matches!(found, Found::Broken { .. }), "{model:?}\n{said}");
}

/// Asserts that some read goes wrong.
fn breaks(model: &(impl Model + fmt::Debug)) {
    let (found, said) = search(model, ALL);
    assert!(matches!(found, Found::Broken { .. }), "{model:?}\n{said}");
}

fn search(model: &impl Model, most: usize) -> (Found, String) {
    let begun = Instant::now();
    let found = explore(model, most);
    let said = format!("{found}\n({:.1?})", begun.elapsed());
    println!("{said}");
    (found, said)
}
