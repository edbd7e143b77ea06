//! The protocol in the small, and every order in which it can happen.
//!
//! Each module here is the protocol, or a part of it, with everything removed
//! that time and chance do not touch: one key or two, a handful of writers and
//! readers, version numbers for rows. From there the search goes through every
//! interleaving of their steps with every fault the model allows, and looks at
//! every read.
//!
//! Half of the tests are the protocol with one rule taken away, and assert that
//! a read then goes wrong. They are what says that the other half could fail,
//! and why each rule is there. The shortest way to the wrong read, and the
//! number of states of a search that found none, are printed; `--nocapture`
//! shows them.
//!
//! Passing here says that the rules are right, not that the library follows
//! them: the conformance suite and the tests under faults are for that.

mod explore;
mod nibbles;
mod scripts;

mod epochs;
mod in_process;
mod leases;
mod release_value;
mod repeated_packets;
mod two_instances;
mod two_shards;

use std::fmt;
use std::time::Instant;

use explore::{Found, Model, explore};

/// More states than any model here has.
const ALL: usize = 100_000_000;

/// The states of a large model that are looked at in a usual run.
const NEAR: usize = 250_000;

/// Asserts that no read goes wrong, whatever happens in whatever order.
fn holds(model: &(impl Model + fmt::Debug)) {
    let (found, said) = search(model, ALL);
    assert!(matches!(found, Found::Nothing { .. }), "{model:?}\n{said}");
}

/// Asserts that no read goes wrong in the states nearest to the start; with
/// `ASIDE_SOAK=1`, in any state. The names of such tests say so.
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
