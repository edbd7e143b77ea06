//! The Tale Generator's data layer: heroes, children and the stories made for
//! them, in SQLite or PostgreSQL, behind the caches of [`aside`].
//!
//! - [`domain`]: the rows, what a client may write of them, and what can go wrong;
//! - [`sql`]: the repositories;

pub mod domain;
pub mod sql;
