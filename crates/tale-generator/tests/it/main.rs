//! The data layer on SQLite, in a file and in memory, and on PostgreSQL.

mod bodies;
mod cached;
mod cascades;
mod concurrency;
mod databases;
mod facade;
mod keys;
mod limits;
mod reads;
mod transfers;
mod writes;
