//! Searches the in-process tier of aside for interleavings that break a
//! promise.
//!
//! `aside` keeps entries and shares reads without locks around either, by
//! counters that are read in a certain order. Whether that order suffices
//! cannot be tried out: the machine runs one interleaving at a time, and
//! seldom the bad one. Here a checker decides who runs next, and which of the
//! values that the memory model permits a load sees. What is searched are the
//! very files of the library, `stripes.rs` and `flight.rs`, compiled beside a
//! module `sync` of the checker's types: production code knows nothing of it.
//!
//! - [`stripes`] runs under loom, which tries every interleaving of few
//!   threads, and the reorderings of weakly ordered memory.
//! - [`flights`] runs under shuttle, which draws many schedules at random: a
//!   flight has more steps than can be tried exhaustively.
//!
//! A scenario panics where a promise is broken. Each has its ablations, the
//! same scenario with a rule left out, which must be caught; otherwise it
//! would prove nothing.

// What is compiled here has tests of its own, which run in the library.
#![cfg(not(test))]

pub mod flights;
pub mod stripes;
