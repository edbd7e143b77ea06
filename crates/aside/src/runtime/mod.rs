//! What the library asks of the machine and of its runtime: the time, tasks, and
//! what threads meet in. In tests all of it can be simulated.

#[cfg(test)]
pub(crate) mod simulated;

pub(crate) mod clock;
pub(crate) mod sync;
pub(crate) mod task;
