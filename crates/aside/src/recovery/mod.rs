//! What Redis has not been told yet, and how it is told later.
//!
//! Releases that failed are retried from memory. What must outlive the process is in
//! the journal, a transactional outbox: the write commits its keys with its rows, and
//! any instance that reaches Redis invalidates them and deletes the journal's rows.

pub(crate) mod journal;
pub(crate) mod comparison;
pub(crate) mod drain;
pub(crate) mod retries;
