//! The program `aside`, on a real Redis and on a fleet of processes.

mod program;
mod instance;
mod answers;
mod forms;
mod terminal;
mod streams;
mod outages;
mod codes;
mod doctor;
mod fleet;
mod heat;

/// The maximum time for anything that the tests wait for.
const SOON: std::time::Duration = std::time::Duration::from_secs(20);
