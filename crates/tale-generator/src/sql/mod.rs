//! The repositories over SQLite and PostgreSQL.
//!
//! Both databases accept the same SQL here, including the placeholders, so each
//! statement is written once. For the few that differ, a `Statement` contains
//! both forms. Types differ for ids, timestamps and JSON. `statement.rs`
//! converts them on writing, `columns.rs` on reading.
//!
//! Locks are always taken in the order child, hero, stories by id, so that two
//! writes never deadlock.

/// Selects columns by name; the module of each table lists them.
macro_rules! select {
    ($from:literal) => {
        concat!("SELECT ", columns!(), " FROM ", $from)
    };
}

/// A write that returns the rows in their new state.
macro_rules! returning {
    ($write:literal) => {
        concat!($write, " RETURNING ", columns!())
    };
}

mod columns;
mod failure;
#[macro_use]
mod plans;
mod availability;
mod gather;
mod open;
mod statement;
mod places;
mod transaction;
mod database;
mod table;
mod pages;
mod bounded;
mod snapshot;
mod stories;
mod batch;
mod children;
mod heroes;

pub use batch::{BATCH, BatchError, Inserted, insert_batch};
pub(crate) use bounded::{Bounded, BoundedError};
pub use children::SqlChildren;
pub use database::Database;
pub use failure::is_away;
pub(crate) use gather::{Most, Page};
pub use heroes::SqlHeroes;
pub use open::{CommitStep, DatabaseOptions, OpenError};
pub(crate) use pages::{IndexOf, Pages, Position};
pub(crate) use snapshot::Snapshot;
pub use stories::SqlStories;
