//! The router over working caches, as a client calls it.

mod asking;
mod access;
mod heroes;
mod hot;
mod advice;
mod curve;
mod events;
mod explaining;
mod fleet;
mod forgetting;
mod history;
mod looking;
mod metrics;
mod monitoring;
mod page;
mod prefetching;
mod primaries;
mod purging;
mod redis_user;
mod topologies;
mod warming;

/// The maximum time for anything that the tests wait for.
const SOON: std::time::Duration = std::time::Duration::from_secs(20);
