//! Searches the local tier of aside for interleavings that break a promise.
//!
//! `aside` validates entries and shares reads without holding a lock, by
//! counters that are read in a certain order. Running the code cannot show that
//! this order suffices: the machine runs one interleaving at a time, and seldom
//! a bad one. Here a checker decides which thread runs next, and which of the
//! values that the memory model permits a load sees. It checks the library's
//! own files, `trust/generations.rs` and `local/flight/mod.rs`, compiled
//! beside a module `runtime::sync` with the checker's types. Production code does not depend on it.
//!
//! - [`generations`] runs under loom, which tries every interleaving of few
//!   threads, and the reorderings of weakly ordered memory.
//! - [`flights`] runs under shuttle, which draws many schedules at random,
//!   because a flight has too many steps for an exhaustive search.
//!
//! A scenario panics if a promise is broken. Each has ablations, the same
//! scenario with a rule left out. They must be caught; otherwise the scenario
//! would prove nothing.

// The files compiled here contain tests, which run in the library.
#![cfg(not(test))]

pub mod flights;
pub mod generations;
