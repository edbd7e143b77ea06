//! Transactions that record their changes, on real databases with a real Redis.

mod items;
mod recording;
mod ends;
mod change;
mod savepoints;
