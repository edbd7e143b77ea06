//! The promises of `#[derive(Table)]`, on real databases.

mod articles;
mod links;
mod lists;
mod tasks;
mod writing;
