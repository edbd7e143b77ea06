//! The repositories over SQLite and PostgreSQL.
//!
//! Both databases understand the same SQL here, down to the placeholders, so
//! each statement is written once; the few that differ say both forms side by
//! side in a `Statement`. What differs in types (ids,
//! timestamps, JSON) is settled in `statement.rs` on the way in and in
//! `columns.rs` on the way out.
//!
//! Locks are always taken in the order child, hero, stories by id, so that no
//! two writes wait for each other.

/// Rows by the names of their columns, which the module of their table lists.
macro_rules! select {
    ($from:literal) => {
        concat!("SELECT ", columns!(), " FROM ", $from)
    };
}

/// A write that returns the rows as they are after it.
macro_rules! returning {
    ($write:literal) => {
        concat!($write, " RETURNING ", columns!())
    };
}

#[macro_use]
mod plans;

mod availability;
mod batch;
mod bounded;
mod children;
mod columns;
mod database;
mod failure;
mod heroes;
mod open;
mod pages;
mod snapshot;
mod statement;
mod stories;
mod table;
mod transaction;
mod writers;

pub use batch::{BATCH, BatchError, Inserted, insert_batch};
pub(crate) use bounded::Bounded;
pub use children::SqlChildren;
pub use database::Database;
pub use failure::is_away;
pub use heroes::SqlHeroes;
pub use open::{CommitStep, DatabaseOptions, OpenError};
pub(crate) use pages::{IndexOf, Most, Page, Pages, Position};
pub use stories::SqlStories;
