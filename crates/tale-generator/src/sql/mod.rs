//! The repositories over SQLite and PostgreSQL.
//!
//! The rows derive their tables (`derive(Table)`), and `aside-sqlx` has the
//! statements, the transactions and the journal. This module adds the rules of
//! the tales, written once for both databases: effects on other rows, expected
//! states, limits, and the meaning of errors.
//!
//! Locks are always taken in the order child, hero, stories by id, so that two
//! writes never deadlock.

mod failure;
#[macro_use]
mod plans;
mod availability;
mod open;
mod places;
mod limits;
mod store;
mod transaction;
mod kind;
mod gather;
mod pages;
mod reads;
mod writes;
mod stories;
mod database;
mod rows;
mod bounded;
mod snapshot;
mod batch;

pub use batch::{BATCH, BatchError, Inserted, insert_batch};
pub(crate) use bounded::{Bounded, BoundedError};
pub use database::Database;
pub use failure::is_away;
pub(crate) use gather::{Most, Page};
pub(crate) use kind::AnyKind;
pub use open::{CommitStep, DatabaseOptions, OpenError};
pub(crate) use pages::{IndexOf, Pages, Position};
pub use rows::{SqlChildren, SqlHeroes, SqlRows, SqlStories};
pub(crate) use snapshot::Snapshot;
