//! The Tale Generator: heroes, children and the stories made for them, in
//! SQLite or PostgreSQL, behind the caches of [`aside`], over HTTP.
//!
//! - [`domain`]: the rows, the drafts that clients send, and the errors;
//! - [`sql`]: the repositories;
//! - [`strategies`]: the cache strategy of each kind;
//! - [`Tales`]: repositories and cache together, one method per operation;
//! - [`seed`]: plausible rows from a seed number;
//! - [`transfer`]: export and import as JSON lines;
//! - [`http`]: the API;
//! - [`AppSettings`]: the settings from the environment;
//! - [`cli`]: the program `tales` and its commands;
//! - [`demo`]: the guided example.

mod columns;
pub mod domain;
pub mod sql;
pub mod strategies;
mod settings;
mod tales;
pub mod seed;
pub mod transfer;
pub mod http;
pub mod demo;
pub mod cli;

pub use settings::{AdminListen, AppSettings, LogFormat};
pub use tales::Tales;

/// The README's example, compiled so that it stays correct.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub mod readme {}

/// The example for existing services, compiled so that it stays correct.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/first-step.md")]
pub mod first_step {}

/// The example of cached queries, compiled so that it stays correct.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/queries.md")]
pub mod queries {}

/// The example of associations, compiled so that it stays correct.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/associations.md")]
pub mod associations {}

/// The example for caches written by hand, compiled so that it stays correct.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/cache-aside.md")]
pub mod cache_aside {}

/// The example of lists of ids, compiled so that it stays correct.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/lists.md")]
pub mod lists {}

/// The steps of a service that exists, compiled so that they stay correct.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/your-service.md")]
pub mod your_service {}

/// The examples of tests, run so that they stay correct.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/testing.md")]
pub mod testing {}

/// The end of a service, compiled so that it stays correct.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/shutdown.md")]
pub mod shutdown {}

/// The readiness during a deployment, compiled so that it stays correct.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/deployments.md")]
pub mod deployments {}
