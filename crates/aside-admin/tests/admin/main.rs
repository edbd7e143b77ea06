//! The router, asked as a client asks it, over caches that work.

mod access;
mod asking;
mod events;
mod forgetting;
mod heroes;
mod looking;
mod metrics;
mod monitoring;
mod redis_user;
mod warming;

/// How long anything may take that is waited for.
const SOON: std::time::Duration = std::time::Duration::from_secs(20);
