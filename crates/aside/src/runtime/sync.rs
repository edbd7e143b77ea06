//! Shared state between threads, for the two modules that are model checked.
//!
//! `aside-interleavings` compiles the files of `generations` and `flight`
//! beside another module of this name. The types there let a checker decide
//! which thread runs next. Here they are the plain types, at no cost.

pub(crate) use std::sync::atomic;

pub(crate) use parking_lot::Mutex;
/// In tests `flight` uses the one of `simulated`, which wakes waiters in order.
#[cfg(not(test))]
pub(crate) use tokio::sync::watch;
