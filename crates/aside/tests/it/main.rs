//! What a cached repository promises, on a real Redis and in memory.
//!
//! `world` is the stage: a database with row locks, one Redis for each test,
//! and as many instances of a service as a test asks for. `tap` listens on
//! the wire. Everything else is promises.

mod database;
mod entities;
mod epochs;
mod tap;
mod world;

mod audit;
mod batches;
mod flights;
mod foreign;
mod forgetting;
mod gathering;
mod good_faith;
mod hammer;
mod instances;
mod journal;
mod keys;
mod outages;
mod properties;
mod races;
mod round_trips;
mod shown;
mod spelling;
mod stale;
mod survival;
mod tls;
mod types;
mod unfinished;
mod verdicts;
