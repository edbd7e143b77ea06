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

use std::time::Instant;

use explore::{Found, Model, explore};

/// More states than any model here has.
const ALL: usize = 3_000_000;

/// Asserts that no read goes wrong, whatever happens in whatever order.
fn holds(model: &(impl Model + std::fmt::Debug)) {
    search(model, ALL, true);
}

/// Asserts that some read goes wrong.
fn breaks(model: &(impl Model + std::fmt::Debug)) {
    search(model, ALL, false);
}

fn search(model: &(impl Model + std::fmt::Debug), most: usize, should_hold: bool) {
    let begun = Instant::now();
    let (holds, said) = match explore(model, most) {
        Found::Nothing { states } => (true, format!("{states} states, and no other")),
        Found::NothingNear { states } => (true, format!("the nearest {states} states")),
        Found::Broken { way, states } => {
            let way = way.join("\n  ");
            (false, format!("{states} states seen before\n  {way}"))
        }
    };
    let said = format!("{said}\n({:.1?})", begun.elapsed());
    println!("{said}");
    assert_eq!(holds, should_hold, "{model:?}\n{said}");
}
