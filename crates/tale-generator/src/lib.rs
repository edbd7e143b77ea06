//! The Tale Generator: heroes, children and the stories made for them, in
//! SQLite or PostgreSQL, behind the caches of [`aside`], over HTTP.
//!
//! - [`domain`]: the rows, what a client may write of them, and what can go wrong;
//! - [`sql`]: the repositories;
//! - [`strategies`]: how each kind is cached;
//! - [`Tales`]: repositories and cache together, one method per operation;
//! - [`seed`]: plausible rows from a number;
//! - [`transfer`]: export and import as JSON lines;
//! - [`http`]: the API;
//! - [`AppSettings`]: what the environment says;
//! - [`cli`]: the program `tales`, and what it can be told to do;
//! - [`demo`]: the guided example.

pub mod cli;
pub mod demo;
pub mod domain;
pub mod http;
pub mod seed;
mod settings;
pub mod sql;
pub mod strategies;
mod tales;
pub mod transfer;

pub use settings::{AdminListen, AppSettings, LogFormat};
pub use tales::Tales;

/// The README's example, so that it stays true.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub mod readme {}
