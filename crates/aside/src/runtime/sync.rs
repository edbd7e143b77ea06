//! What threads meet in, for the two modules that are searched for bad
//! interleavings.
//!
//! `aside-interleavings` compiles the very files of `stripes` and `flight`
//! beside another module of this name, whose types let a checker decide who
//! runs next. Here they are what they are called, at no cost.

pub(crate) use std::sync::atomic;

pub(crate) use parking_lot::Mutex;
/// In tests `flight` takes the one of `simulated`, which wakes in order.
#[cfg(not(test))]
pub(crate) use tokio::sync::watch;
