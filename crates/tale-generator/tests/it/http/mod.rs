//! The HTTP API, tested through its router.

mod api;
mod bodies;
mod connections;
mod health;
mod pages;
mod preconditions;
mod queries;
mod routes;
mod sources;
mod time_limits;

pub(crate) use api::{hero, story};
