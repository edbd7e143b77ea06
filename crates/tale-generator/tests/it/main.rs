//! The Tale Generator: its data layer on SQLite, in a file and in memory, and
//! on PostgreSQL; its HTTP API; its program.

mod bodies;
mod cached;
mod databases;
mod cascades;
mod commits;
mod concurrency;
mod facade;
mod free_json;
mod http;
mod keys;
mod limits;
mod other_programs;
mod program;
mod reads;
mod refusals;
mod schema_changes;
mod transfers;
mod writes;
