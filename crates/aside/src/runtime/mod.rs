//! The interface to the machine: the time, tasks, and shared state. Tests can
//! simulate all of it.

#[cfg(test)]
pub(crate) mod simulated;

pub(crate) mod clock;
pub(crate) mod sync;
pub(crate) mod task;
