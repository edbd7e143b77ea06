//! Delivery of invalidations and releases that Redis has not acknowledged.
//!
//! Failed releases are retried from memory. Keys that must survive the process
//! are in the journal, a transactional outbox: a write commits its keys
//! together with its rows. Any instance that reaches Redis invalidates them and
//! deletes the journal's rows.

pub(crate) mod journal;
pub(crate) mod comparison;
mod acknowledged;
pub(crate) mod drain;
pub(crate) mod retries;
