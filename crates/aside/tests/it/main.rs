//! The promises of a cached repository, on a real Redis and in memory.
//!
//! `world` is the environment: a database with row locks, one Redis for each
//! test, and the instances of a service that a test requests. `tap` records the
//! network traffic. The other modules test promises.

mod database;
mod entities;
mod tap;
mod world;
mod epochs;

mod audit;
mod batches;
mod associations;
mod flights;
mod foreign;
mod forged;
mod forgetting;
mod gathering;
mod good_faith;
mod hammer;
mod hot_keys;
mod id_lists;
mod instances;
mod journal;
mod keys;
mod layers;
mod leases;
mod outages;
mod prefetch;
mod following;
mod properties;
mod queries;
mod races;
mod refreshing;
mod round_trips;
mod servers;
mod shown;
mod sources;
mod spans;
mod spelling;
mod stale;
mod survival;
mod timeouts;
mod tls;
mod transactions;
mod types;
mod unfinished;
mod verdicts;
mod warm_ups;
